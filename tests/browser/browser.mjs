// A real browser on a running service, and what every page there must keep: nothing refused, nothing
// asked for elsewhere, no error in the console, nothing wider than the screen.
//
// BASE_URL names the service, DATA_DIR its data directory, COUNTERSIGN the program. Chromium is /usr/bin/chromium unless CHROMIUM says otherwise.

import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

export const base = process.env.BASE_URL;
if (!base) {
  console.error("BASE_URL must name a running service; see serve.sh");
  process.exit(2);
}

export const person = { email: "ann@example.com", password: "correct horse battery staple" };
export const desktop = { width: 1080, height: 760 };
export const phone = { width: 390, height: 844 };

export const launch = {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
};

const complaints = [];

export const browser = await chromium.launch(launch);

/** Notes what does not stop a test, and fails it in the end. */
export function complain(text) {
  complaints.push(text);
}

/** A page in a browser profile of its own, whose complaints are collected. */
export async function open(options = {}) {
  const context = await browser.newContext({
    baseURL: base, viewport: desktop, colorScheme: "light", ...options,
  });
  return watch(await context.newPage());
}

/** The operator's dashboard, by a link as the command line prints it. */
export async function openDashboard(options = {}) {
  const link = execFileSync(
    process.env.COUNTERSIGN, ["dashboard", "--data-dir", process.env.DATA_DIR], { encoding: "utf8" },
  ).trim();
  const { origin } = new URL(link);
  const context = await browser.newContext({
    baseURL: origin, viewport: desktop, colorScheme: "light", ...options,
  });
  const page = watch(await context.newPage(), origin);
  await page.goto(link);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  return page;
}

/** Collects the complaints of a page, which may ask for what is at `home` alone. */
export function watch(page, home = base) {
  page.on("console", (message) => {
    // A refusal is also an "error" there; those that tests provoke are expected.
    const expected = /^Failed to load resource: .* status of (401|403|404|422) /.test(message.text());
    if (message.type() === "error" && !expected) complain(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complain(`${page.url()}: ${error}`));
  page.on("request", (request) => {
    const outside = !request.url().startsWith(home) && !/^(data|blob):/.test(request.url());
    if (outside) complain(`${page.url()}: asks for ${request.url()}`);
  });
  return page;
}

/** Notes a page that has to be scrolled sideways. */
export async function fits(page, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  if (wide) complain(`${name}: wider than the screen`);
}

export function expect(holds, what) {
  if (!holds) throw new Error(`expected ${what}`);
}

export async function fillIn(page, { email, password }) {
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(password);
}

/** Makes the account and stays signed in, on the counted page. */
export async function signUp(page, who = person) {
  await page.goto("/signup");
  await fillIn(page, who);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL("**/admin");
}

export async function logIn(page, who = person) {
  await page.goto("/");
  await fillIn(page, who);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL("**/admin");
}

/** On the account page, asks to end the first session in the list that can be chosen. */
export async function endFirst(page, password) {
  const sessions = page.locator('form[action="/account/sessions"]');
  await sessions.getByRole("radio").first().check();
  await sessions.getByLabel("Current password").fill(password);
  await sessions.getByRole("button").click();
}

/** Runs a test to its end; the process fails with it, or with what was complained about. */
export async function run(test) {
  try {
    await test();
  } finally {
    await browser.close();
  }
  if (complaints.length > 0) {
    console.error(complaints.join("\n"));
    process.exit(1);
  }
}

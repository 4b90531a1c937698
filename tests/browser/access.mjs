// Whether everybody can use the pages: axe-core on every state of every page, light and dark, on a
// desktop and on a phone; and Lighthouse's marks for accessibility and best practices, which have
// to be full.
//
// usage: sh serve.sh access.mjs

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import lighthouse from "lighthouse";
import { chromium } from "playwright-core";
import { examine, examined } from "./axe.mjs";
import {
  base, complain, desktop, endFirst, expect, fillIn, launch, logIn, open, person, phone, run, signUp, watch,
} from "./browser.mjs";

const MARKS = ["accessibility", "best-practices"];

/** Every state of every page, for one look of the screen. */
async function every(look, options) {
  const page = await open(options);
  const at = async (address, name = address) => {
    await page.goto(address);
    await examine(page, `${name} (${look})`);
  };
  const after = async (button, name) => {
    await page.getByRole("button", { name: button }).click();
    await page.getByRole("alert").first().waitFor();
    await examine(page, `${name} (${look})`);
  };
  await at("/");
  await fillIn(page, { ...person, password: "wrong" });
  await after("Log in", "a refused log-in");
  await at("/signup");
  await page.evaluate(() => { document.querySelector("form").noValidate = true; });
  await fillIn(page, { email: "new@example.com", password: "short" });
  await after("Create account", "a refused sign-up");
  await at("/admin", "/admin, signed out");
  await at("/nothing-here", "an address that is none");
  await logIn(page);
  await examine(page, `/admin (${look})`);
  await at("/account");
  await page.locator('form[action="/account/email"]').getByLabel("New e-mail").fill("b@example.com");
  await page.locator('form[action="/account/email"]').getByLabel("Current").fill("wrong");
  await after("Change e-mail address", "a wrong password at /account");
  await at("/account");
  await endFirst(page, person.password);
  await page.locator(".done").waitFor();
  await examine(page, `/account, a session ended (${look})`);
  // From elsewhere, a link asks first.
  const elsewhere = await page.context().newPage();
  await elsewhere.route("http://elsewhere.test/", (route) =>
    route.fulfill({ contentType: "text/html", body: `<a href="${base}/logout">x</a>` }));
  await elsewhere.goto("http://elsewhere.test/");
  await elsewhere.getByRole("link").click();
  await elsewhere.getByRole("heading", { name: "Log out?" }).waitFor();
  await examine(watch(elsewhere), `/logout from elsewhere (${look})`);
  await page.context().close();
}

/** Lighthouse asks for a page by itself, so the browser must be one that it can reach. */
async function marks(addresses) {
  const profile = await mkdtemp(join(tmpdir(), "countersign-lighthouse-"));
  const port = 9222 + (process.pid % 1000);
  const context = await chromium.launchPersistentContext(profile, {
    ...launch, args: [...launch.args, `--remote-debugging-port=${port}`], baseURL: base,
  });
  try {
    const page = watch(await context.newPage());
    for (const address of addresses.signedOut) await mark(address, port);
    await logIn(page);
    for (const address of addresses.signedIn) await mark(address, port);
  } finally {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  }
}

async function mark(address, port) {
  const { lhr } = await lighthouse(base + address, {
    port, onlyCategories: MARKS, disableStorageReset: true, logLevel: "error",
    formFactor: "desktop", screenEmulation: { disabled: true },
  });
  expect(!lhr.runtimeError, `Lighthouse to have seen ${address}: ${lhr.runtimeError?.message}`);
  for (const name of MARKS) {
    const { score, auditRefs } = lhr.categories[name];
    const short = auditRefs.map(({ id, weight }) => ({ weight, ...lhr.audits[id] }))
      .filter((audit) => audit.weight > 0 && audit.score !== null && audit.score < 1);
    console.log(`${address}: ${name} ${Math.round(score * 100)}`);
    if (score < 1) complain(`${address}: ${name} ${score}: ${short.map((it) => it.title)}`);
  }
}

await run(async () => {
  const first = await open();
  await signUp(first);
  for (const colorScheme of ["light", "dark"]) {
    for (const [screen, viewport] of Object.entries({ desktop, phone })) {
      await every(`${colorScheme}, ${screen}`, { colorScheme, viewport });
    }
  }
  console.log(`axe-core has looked at ${examined} pages`);
  await marks({ signedOut: ["/", "/signup"], signedIn: ["/admin", "/account"] });
});

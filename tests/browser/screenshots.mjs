// Takes pictures of all pages into a folder, and fails when the browser complains about one.
//
// usage: sh serve.sh screenshots.mjs FOLDER

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { base, desktop, expect, fillIn, fits, open, person, phone, run } from "./browser.mjs";

const folder = process.argv[2];
if (!folder) {
  console.error("usage: screenshots.mjs FOLDER");
  process.exit(2);
}

async function shot(page, name) {
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  await fits(page, name);
}

await run(async () => {
  const page = await open();
  await page.goto("/");
  await shot(page, "home");
  await fillIn(page, { ...person, password: "wrong" });
  await page.getByRole("button", { name: "Log in" }).click();
  expect(await page.getByRole("alert").isVisible(), "a refused log-in to be announced");
  await shot(page, "home-wrong");

  await page.goto("/admin");
  await shot(page, "signed-out");

  await page.goto("/signup");
  await page.evaluate(() => { document.querySelector("form").noValidate = true; });
  await fillIn(page, { ...person, password: "short" });
  await page.getByRole("button", { name: "Create account" }).click();
  expect(await page.getByRole("alert").isVisible(), "a short password to be announced");
  await shot(page, "sign-up-error");

  await fillIn(page, person);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL("**/admin");
  for (const visit of [1, 2, 3]) {
    await page.getByText(`This is visit number ${visit}`, { exact: true }).waitFor();
    await page.getByRole("link", { name: "Refresh page to increase visits" }).click();
  }

  // The same person on another device: a phone, at night.
  const other = await open({
    viewport: phone,
    colorScheme: "dark",
    userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 " +
      "(KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
  });
  await other.goto("/");
  await shot(other, "home-dark-phone");
  await fillIn(other, person);
  await other.getByLabel("Keep me logged in").check();
  await other.getByRole("button", { name: "Log in" }).click();
  await other.getByText("This is visit number 1", { exact: true }).waitFor();
  await shot(other, "admin-dark-phone");
  await other.setViewportSize(desktop);
  for (let visit = 2; visit <= 12; visit++) await other.reload();
  await shot(other, "admin-dark");
  for (let visit = 5; visit <= 8; visit++) await page.reload();
  await page.getByText("This is visit number 8", { exact: true }).waitFor();
  await shot(page, "admin");

  // The account: what is wrong is at its field, and a session ends for who types the password.
  await page.goto("/account");
  await shot(page, "account");
  const form = (name) => page.locator(`form[action="/account/${name}"]`);
  await form("email").getByLabel("New e-mail address").fill("anna@example.com");
  await form("email").getByLabel("Current password").fill("wrong");
  await form("email").getByRole("button").click();
  expect(await page.getByRole("alert").isVisible(), "a wrong password to be announced");
  const focused = await page.evaluate(() => document.activeElement.id);
  expect(focused === "email-current", `the wrong field to have the focus, not ${focused}`);
  await shot(page, "account-wrong");
  await other.goto("/account");
  await other.setViewportSize(phone);
  await shot(other, "account-dark-phone");
  await other.setViewportSize(desktop);
  await form("sessions").getByLabel("All of them but this session").check();
  await form("sessions").getByLabel("Current password").fill(person.password);
  await form("sessions").getByRole("button").click();
  await page.locator(".done").getByText("The sessions have ended.").waitFor();
  await page.getByText("You are logged in on this device alone.").waitFor();
  await other.goto("/account");
  await other.getByText("You need to log in before you can see this page.").waitFor();

  // A link from another site asks first.
  const elsewhere = await page.context().newPage();
  await elsewhere.route("http://elsewhere.test/", (route) =>
    route.fulfill({ contentType: "text/html", body: `<a href="${base}/logout">x</a>` }));
  await elsewhere.goto("http://elsewhere.test/");
  await elsewhere.getByRole("link").click();
  await elsewhere.getByRole("heading", { name: "Log out?" }).waitFor();
  await shot(elsewhere, "log-out");

  // The Swagger UI works under its policy, to the call.
  const docs = await open();
  await docs.goto("/docs");
  await docs.getByText("Count a visit").first().waitFor();
  await shot(docs, "docs");
  await docs.getByText("The session of this request").first().click();
  await docs.getByRole("button", { name: "Try it out" }).click();
  await docs.getByRole("button", { name: "Execute" }).click();
  await docs.getByText("not_signed_in").first().waitFor();

  await page.goto("/admin");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  const left = (await page.context().cookies()).map(({ name }) => name);
  expect(left.join() === "device", `a logout to leave no session's cookie, not ${left}`);
});

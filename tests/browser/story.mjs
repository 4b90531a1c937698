// What people do, in a real browser, with and without JavaScript: from the sign-up to a log-out that
// the back button does not undo.
//
// usage: sh serve.sh story.mjs

import { endFirst, expect, fillIn, logIn, open, person, phone, run, signUp } from "./browser.mjs";

const visit = (page, number) =>
  page.getByText(`This is visit number ${number}`, { exact: true }).waitFor();

/** Signed out, whatever the page shows of it. */
async function isSignedOut(page) {
  await page.goto("/admin");
  await page.getByText("You need to log in before you can see this page.").waitFor();
}

/** How often the page was left for another since this was called. */
function countNavigations(page) {
  let count = 0;
  page.on("framenavigated", () => count++);
  return () => count;
}

/** What the script of the account page does when a session ends, and when not all is as expected. */
async function inPlace() {
  const who = { ...person, email: "ann.in.place@example.com" };
  const here = await open();
  await signUp(here, who);
  const devices = [];
  for (let device = 0; device < 4; device++) {
    devices.push(await open({ viewport: phone }));
    await logIn(devices.at(-1), who);
  }
  await here.goto("/account");
  await here.evaluate(() => { window.stayed = true; });
  const voice = here.locator("body > [role=status]");
  const hears = async (sentence) => {
    await voice.getByText(sentence).waitFor();
    expect((await here.locator("main [role=status], main [role=alert]").count()) === 0, "one voice");
    expect(await here.evaluate(() => window.stayed), "the page to be the same");
  };
  const hasFocus = (selector) => here.locator(`${selector}:focus`).waitFor();
  const listed = async (number) => {
    const rows = await here.getByRole("row").count();
    expect(rows === number + 1, `${number} sessions under a head, not ${rows}`);
  };

  await listed(5);
  await endFirst(here, "wrong");
  await hears("The current password is wrong.");
  await hasFocus("#sessions-current");
  expect((await here.title()).startsWith("Error: "), "the title to say so");
  await endFirst(here, who.password);
  await hears("The sessions have ended.");
  await hasFocus("h2#sessions");
  await listed(4);
  // Once more, which is said once more; and this browser has the newest cookie all along.
  await endFirst(here, who.password);
  await voice.getByText("The sessions have ended.").waitFor();
  await listed(3);
  expect(await here.evaluate(() => window.stayed), "the page to be the same");
  await here.reload();
  await listed(3);

  // Something else answers: the form goes the browser's way.
  await here.evaluate(() => { window.stayed = true; });
  const address = "**/account/sessions";
  await here.route(address, (route) => route.request().resourceType() === "fetch"
    ? route.fulfill({ contentType: "text/plain", body: "something else" })
    : route.continue());
  await endFirst(here, who.password);
  await here.waitForURL("**/account?done=sessions");
  await here.locator("main [role=status]").getByText("The sessions have ended.").waitFor();
  await listed(2);
  await here.unroute(address);

  // The session is over by now: so is the page.
  for (const device of devices) {
    const answer = await device.goto("/account");
    if (!answer.ok()) continue;
    await endFirst(device, who.password);
    await device.locator(".done").waitFor();
  }
  await endFirst(here, who.password);
  await here.getByText("You need to log in before you can see this page.").waitFor();
}

async function story(javaScriptEnabled) {
  const who = { ...person, email: `ann.${javaScriptEnabled}@example.com` };
  const here = await open({ javaScriptEnabled });
  await signUp(here, who);
  await visit(here, 1);
  for (const number of [2, 3]) {
    await here.getByRole("link", { name: "Refresh page to increase visits" }).click();
    await visit(here, number);
  }

  // Another device, which this one ends.
  const there = await open({ javaScriptEnabled, viewport: phone, colorScheme: "dark" });
  await logIn(there, who);
  await visit(there, 1);
  await here.goto("/account");
  const sessions = here.locator('form[action="/account/sessions"]');
  expect((await sessions.getByRole("row").count()) === 3, "two sessions under a head");
  const navigations = countNavigations(here);
  await endFirst(here, "wrong");
  await here.locator(".error").getByText("The current password is wrong.").waitFor();
  await endFirst(here, who.password);
  await here.locator(".done").getByText("The sessions have ended.").waitFor();
  await here.getByText("You are logged in on this device alone.").waitFor();
  // To the page that says what was wrong, and to that after the redirect; or to none.
  const expected = javaScriptEnabled ? 0 : 2;
  expect(navigations() === expected, `${expected} navigations, not ${navigations()}`);
  await isSignedOut(there);

  // Still here, under a new cookie; and gone after the log-out, also for the back button.
  await here.goto("/admin");
  await visit(here, 4);
  const copied = await here.context().cookies();
  await here.getByRole("button", { name: "Log out" }).click();
  await here.getByRole("button", { name: "Log in" }).waitFor();
  await here.goBack();
  await here.getByText("You need to log in before you can see this page.").waitFor();
  expect(!(await here.content()).includes(who.email), "nothing of the page to be in the cache");
  await here.context().addCookies(copied);
  await isSignedOut(here);

  // What a password manager goes by.
  await here.goto("/");
  for (const [label, hint] of [["E-mail address", "username"], ["Password", "current-password"]]) {
    const said = await here.getByLabel(label).getAttribute("autocomplete");
    expect(said === hint, `${label} to be filled in as ${hint}, not ${said}`);
  }
  await here.goto("/signup");
  const said = await here.getByLabel("Password").getAttribute("autocomplete");
  expect(said === "new-password", `a password to be suggested, not ${said}`);

  // The keyboard alone will do.
  await here.goto("/");
  await fillIn(here, who);
  await here.keyboard.press("Enter");
  await here.waitForURL("**/admin");
}

await run(async () => {
  await inPlace();
  await story(true);
  await story(false);
  console.log("the story works with JavaScript and without");
});

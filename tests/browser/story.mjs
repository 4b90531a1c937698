// What people do, in a real browser, with and without JavaScript: from the sign-up to a log-out that
// the back button does not undo.
//
// usage: sh serve.sh story.mjs

import { expect, fillIn, logIn, open, person, phone, run, signUp } from "./browser.mjs";

const visit = (page, number) =>
  page.getByText(`This is visit number ${number}`, { exact: true }).waitFor();

/** Signed out, whatever the page shows of it. */
async function isSignedOut(page) {
  await page.goto("/admin");
  await page.getByText("You need to log in before you can see this page.").waitFor();
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
  await sessions.getByRole("radio").first().check();
  await sessions.getByLabel("Current password").fill(who.password);
  await sessions.getByRole("button").click();
  await here.getByRole("status").waitFor();
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
  await story(true);
  await story(false);
  console.log("the story works with JavaScript and without");
});

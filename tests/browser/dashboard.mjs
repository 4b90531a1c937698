// What the operator does on the dashboard, in a real browser, with and without JavaScript; and axe-core
// on each of its pages.
//
// usage: sh serve.sh dashboard.mjs

import { examine, examined } from "./axe.mjs";
import {
  desktop, expect, logIn, open, openDashboard, person, phone, run, signUp,
} from "./browser.mjs";

/** Finds somebody by a part of their address. */
async function find(page, part, email) {
  await page.getByRole("link", { name: "Accounts" }).click();
  await page.getByLabel("Part of an e-mail address").fill(part);
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByRole("link", { name: email }).first().click();
  await page.getByRole("heading", { name: email }).waitFor();
}

/** Somebody is found, one session is ended, then the account is locked and unlocked. */
async function story(javaScriptEnabled) {
  const who = { ...person, email: `ann.${javaScriptEnabled}@example.com` };
  const here = await open();
  await signUp(here, who);
  const there = await open({ viewport: phone });
  await logIn(there, who);

  const page = await openDashboard({ javaScriptEnabled });
  expect(!page.url().includes("code"), "no code in the address bar");
  await page.getByText("Log-ins").first().waitFor();
  await find(page, `N.${javaScriptEnabled}`, who.email);
  const sessions = page.getByRole("region", { name: "Living sessions" });
  expect((await sessions.getByRole("row").count()) === 3, "two sessions under a head");
  await sessions.getByRole("button", { name: /^End the session/ }).first().click();
  await page.getByRole("status").getByText("1 session ended.").waitFor();
  expect((await sessions.getByRole("row").count()) === 2, "one session under a head");
  await page.getByRole("button", { name: "Disable the account" }).click();
  await page.getByText("The account is disabled. 1 session ended.").waitFor();
  for (const ended of [here, there]) {
    await ended.goto("/admin");
    await ended.getByText("You need to log in before you can see this page.").waitFor();
  }
  await page.getByRole("button", { name: "Enable the account" }).click();
  await page.getByText("The account is enabled.").waitFor();

  await page.getByRole("link", { name: "Refresh" }).click();
  await page.getByRole("heading", { name: who.email }).waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByText("Account enabled").first().waitFor();
  await page.getByRole("button", { name: "Leave" }).click();
  await page.getByRole("heading", { name: "The dashboard is closed." }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "The dashboard is closed." }).waitFor();
}

/** The page keeps itself fresh, and leaves alone what is typed. */
async function refreshing() {
  const visitor = await open();
  await signUp(visitor, { ...person, email: "eve@example.com" });
  const [watching, typing] = [await openDashboard(), await openDashboard()];
  await typing.getByRole("link", { name: "Accounts" }).click();
  const search = typing.getByLabel("Part of an e-mail address");
  await search.pressSequentially("some");
  await search.evaluate((field) => { field.focus(); field.setSelectionRange(2, 2); });
  const read = await typing.locator("#read-at").textContent();

  const visits = watching.getByRole("region", { name: "Visits" });
  for (let visit = 0; visit < 4; visit++) await visitor.reload();
  const metrics = await (await fetch(new URL("/metrics", watching.url()))).text();
  const [, counted] = /^countersign_visits_total (\d+)$/m.exec(metrics);
  await visits.getByText(`${counted} in the last hour`).waitFor({ timeout: 40_000 });
  expect((await visits.locator("svg rect:not(.gap)").count()) > 0, "a bar");

  await typing.waitForFunction((old) => document.getElementById("read-at").textContent !== old, read);
  const kept = await search.evaluate((field) =>
    [field.value, document.activeElement === field, field.selectionStart].join());
  expect(kept === "some,true,2", `what is typed to stay, not ${kept}`);
}

/** Every page, for one look of the screen. */
async function every(look, options) {
  const page = await openDashboard(options);
  await examine(page, `the overview (${look})`);
  await page.getByRole("link", { name: "Last day" }).click();
  await examine(page, `the overview of a day (${look})`);
  await find(page, "ann", "ann.true@example.com");
  await examine(page, `a person (${look})`);
  await page.getByRole("link", { name: "Accounts" }).click();
  await examine(page, `the accounts (${look})`);
  await page.goto("/dashboard");
  await examine(page, `a closed door (${look})`);
}

await run(async () => {
  await story(true);
  await story(false);
  await refreshing();
  // Somebody who is logged in, to be looked at.
  await logIn(await open(), { ...person, email: "ann.true@example.com" });
  for (const colorScheme of ["light", "dark"]) {
    for (const [screen, viewport] of Object.entries({ desktop, phone })) {
      await every(`${colorScheme}, ${screen}`, { colorScheme, viewport });
    }
  }
  console.log(`the dashboard works; axe-core has looked at ${examined} of its pages`);
});

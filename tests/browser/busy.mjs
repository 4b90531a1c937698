// Some minutes of a small service, and then pictures of the operator's dashboard.
//
// usage: sh serve.sh busy.mjs FOLDER [MINUTES]

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { base, expect, fits, openDashboard, person, phone, run } from "./browser.mjs";

const [folder, minutes = "10"] = process.argv.slice(2);
if (!folder) {
  console.error("usage: busy.mjs FOLDER [MINUTES]");
  process.exit(2);
}

const NAMES = ["ann", "ben", "cleo", "dora", "emil", "fay", "gus", "hana", "ida", "jon", "kim", "lou"];
const TURN = 500;

/** Chance that is the same each time. */
let seed = 7;
const chance = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;

const call = (method, path, body, token) =>
  fetch(`${base}/api/v1${path}`, {
    method,
    body: body && JSON.stringify(body),
    headers: {
      ...(body && { "content-type": "application/json" }),
      ...(token && { authorization: `Bearer ${token}` }),
    },
  });

/** One of them does something: comes, looks around, mistypes, goes. */
async function act(who) {
  if (!who.token) {
    const password = chance() < 0.15 ? "mistyped" : person.password;
    const answer = await call("POST", "/session", { email: who.email, password, transport: "bearer" });
    who.token = (await answer.json()).token;
  } else if (chance() < 0.04) {
    await call("DELETE", "/session", undefined, who.token);
    // Some programs go on with a token that is over.
    if (chance() < 0.5) await call("GET", "/session", undefined, who.token);
    who.token = undefined;
  } else {
    const answer = await call("POST", "/session/visits", undefined, who.token);
    who.token = answer.ok ? (await answer.json()).token : undefined;
  }
}

await run(async () => {
  const people = NAMES.map((name) => ({ email: `${name}@example.com`, token: undefined }));
  for (const { email } of people) await call("POST", "/accounts", { email, password: person.password });
  const end = Date.now() + Number(minutes) * 60_000;
  while (Date.now() < end) {
    const wave = 1 + Math.sin(Date.now() / 240_000) + 0.5 * Math.sin(Date.now() / 47_000);
    for (let turn = chance() * 2 * wave; turn > 0; turn--) {
      await act(people[Math.floor(chance() * people.length)]);
    }
    await new Promise((done) => setTimeout(done, TURN));
  }

  await mkdir(folder, { recursive: true });
  const picture = async (page, name) => {
    // The README shows the beginning: what happened is a long list.
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage: name !== "dashboard" });
    await fits(page, name);
  };
  for (const [look, options] of Object.entries({
    "": { viewport: { width: 1120, height: 1010 } },
    "-dark": { viewport: { width: 1120, height: 760 }, colorScheme: "dark" },
    "-dark-phone": { viewport: phone, colorScheme: "dark" },
  })) {
    const page = await openDashboard(options);
    expect((await page.locator("svg rect:not(.gap)").count()) > 4, "something to be drawn");
    await picture(page, `dashboard${look}`);
    await page.getByRole("link", { name: "Accounts" }).click();
    await page.getByRole("link", { name: "ann@example.com" }).first().click();
    await picture(page, `dashboard-person${look}`);
  }
});

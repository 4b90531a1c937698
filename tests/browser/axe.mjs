// What axe-core says of a page as it is.

import { AxeBuilder } from "@axe-core/playwright";
import { complain, expect, fits } from "./browser.mjs";

/** How many pages it has looked at. */
export let examined = 0;

/** Lets axe look at a page; `name` is what its complaints are told under. */
export async function examine(page, name) {
  const { violations, passes } = await new AxeBuilder({ page }).analyze();
  expect(passes.length > 10, `axe to have looked at ${name}`);
  for (const { id, help, nodes } of violations) {
    complain(`${name}: ${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
  }
  await fits(page, name);
  examined++;
}

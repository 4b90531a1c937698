// Keeps a page of the dashboard fresh: every ten seconds it asks for the same page and takes over
// its content. The page works without; what is typed, or has the focus, stays as it is.

const EVERY = 10_000;
const silent = document.getElementById("silent");
let asking = false;

/** What has the focus and where its twin is; a page without the twin is not taken over. */
function place(page, element) {
  return element?.id ? page.querySelector(`#${CSS.escape(element.id)}`) : null;
}

/** Whether somebody is just doing something that would be lost. */
function isBusy(main) {
  return main.querySelector(":active") !== null || !getSelection().isCollapsed;
}

function takeOver(page) {
  const [old, fresh] = [document, page].map((it) => it.querySelector("main"));
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const twin = place(fresh, focused);
  const inside = focused !== null && focused !== old;
  if (!fresh || isBusy(old) || (inside && !twin)) return;
  for (const field of old.querySelectorAll("input[id]")) {
    const next = place(fresh, field);
    if (next && field.value !== field.defaultValue) next.value = field.value;
  }
  const caret = inside && "selectionStart" in focused && [focused.selectionStart, focused.selectionEnd];
  old.replaceChildren(...fresh.childNodes);
  if (inside) twin.focus({ preventScroll: true });
  if (caret) twin.setSelectionRange(...caret);
  document.getElementById("read-at").replaceWith(page.getElementById("read-at"));
}

async function refresh() {
  if (document.hidden || asking) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    // The stay is over, or the account is gone: the answer says so, and what to do.
    if ([401, 404].includes(answer.status)) return location.reload();
    if (!answer.ok) throw new Error(`the answer is ${answer.status}`);
    takeOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
    silent.hidden = true;
  } catch {
    silent.hidden = false;
  } finally {
    asking = false;
  }
}

document.getElementById("refreshing").hidden = false;
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, EVERY);

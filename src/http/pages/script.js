// What the account page does besides when there is JavaScript: a form that is marked data-in-place is
// sent, and what comes back is shown, without leaving the page. It changes nothing of what is sent or
// answered; where anything is not as expected, the browser goes its usual way.

// Says what happened. It must stand there before it speaks, or nobody is listening.
const voice = document.createElement("p");
voice.className = "unseen";
voice.setAttribute("role", "status");
document.body.append(voice);

let underWay = false;

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-in-place]")) return;
  event.preventDefault();
  if (underWay) return;
  underWay = true;
  voice.textContent = "";
  const main = document.querySelector("main");
  main.setAttribute("aria-busy", "true");
  try {
    const answer = await send(form);
    show(answer, form);
  } catch {
    // Not through the network, or not a page. Ending what has ended already does no harm.
    form.submit();
  } finally {
    main.removeAttribute("aria-busy");
    underWay = false;
  }
});

/** The page that answers the form, after its redirect; null where that is for who is signed out. */
async function send(form) {
  const answer = await fetch(form.getAttribute("action"), {
    method: "POST",
    headers: { Accept: "text/html" },
    body: new URLSearchParams(new FormData(form)),
  });
  if (answer.status === 401) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.querySelector("main")) throw new Error("no page");
  return page;
}

/** Puts the content of that page in the place of this one's. */
function show(page, form) {
  if (!page) {
    location.assign("/account");
    return;
  }
  const heading = form.closest("section").getAttribute("aria-labelledby");
  const next = document.adoptNode(page.querySelector("main"));
  // What a page says of itself is announced when it is loaded; here the voice has to say it.
  const said = next.querySelector("[role=status], [role=alert]");
  said?.removeAttribute("role");
  document.querySelector("main").replaceWith(next);
  document.title = page.title;
  voice.textContent = said?.textContent ?? "";
  const place = next.querySelector("[autofocus]") ?? document.getElementById(heading) ?? next;
  if (place.matches("h2")) place.tabIndex = -1;
  place.focus();
}

// The story that every generated client tells: see ../run.py.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Code = components["schemas"]["Code"];
type Transport = components["schemas"]["TokenTransport"];

const { BASE_URL: baseUrl, EMAIL: email = "", PASSWORD: password = "" } = process.env;

/** Somebody who asks, with a bearer token or with a jar of one cookie. */
class Client {
  readonly api = createClient<paths>({ baseUrl });
  token?: string;
  #cookies = new Map<string, string>();

  constructor() {
    this.api.use({
      onRequest: ({ request }) => {
        if (this.token) request.headers.set("authorization", `Bearer ${this.token}`);
        const cookies = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
        if (cookies) request.headers.set("cookie", cookies);
      },
      onResponse: ({ response }) => {
        for (const cookie of response.headers.getSetCookie()) {
          const [, name = "", value = "", flags = ""] = /^([^=]+)=([^;]*)(.*)$/.exec(cookie) ?? [];
          if (/max-age=0/i.test(flags)) this.#cookies.delete(name);
          else this.#cookies.set(name, value);
        }
      },
    });
  }

  async logIn(transport: Transport) {
    const body = { email, password, remember: false, transport };
    const { data, response } = await this.api.POST("/api/v1/session", { body });
    assert.equal(response.status, 201);
    this.token = data?.token;
    assert.equal(this.token !== undefined, transport === "bearer");
    say(`logged in by ${transport}`);
  }

  async countThree() {
    const counted: number[] = [];
    for (let visit = 1; visit <= 3; visit++) {
      const { data } = await this.api.POST("/api/v1/session/visits");
      assert(data);
      counted.push(data.visits);
      this.token = data.token;
    }
    assert.deepEqual(counted, [1, 2, 3]);
    say(`counted ${counted.join(" ")}`);
  }

  async refused() {
    const { error, response } = await this.api.GET("/api/v1/session");
    assert.equal(response.status, 401);
    assert.equal(error?.code, "not_signed_in" satisfies Code);
    say(`refused with ${error?.code}`);
  }

  async logOut() {
    const { response } = await this.api.DELETE("/api/v1/session");
    assert.equal(response.status, 204);
    say("logged out");
  }
}

function say(what: string) {
  console.log(what);
}

const [program, browser] = [new Client(), new Client()];
const { data: account } = await program.api.POST("/api/v1/accounts", { body: { email, password } });
assert.equal(account?.email, email);
say("signed up");
const again = await program.api.POST("/api/v1/accounts", { body: { email, password } });
assert.equal(again.error?.code, "email_taken" satisfies Code);
say("refused with email_taken");

await program.logIn("bearer");
await program.countThree();
await browser.logIn("cookie");
await browser.countThree();

const { data: sessions } = await program.api.GET("/api/v1/sessions");
const other = sessions?.find((session) => !session.current);
assert.equal(sessions?.length, 2);
assert(other);
say("listed 2 sessions");
const params = { path: { sid: other.sid } };
const { response: ended } = await program.api.DELETE("/api/v1/sessions/{sid}", { params });
assert.equal(ended.status, 204);
say("ended the other one");
await browser.refused();

await program.logOut();
await program.refused();
await browser.logIn("cookie");
await browser.logOut();
await browser.refused();
say("done");

// The visit counter with express-session: in memory, or in Redis.
//
// node server.js PORT [REDIS_URL]

import express from "express";
import session from "express-session";

const [port, url] = process.argv.slice(2);

async function redisStore() {
  const { RedisStore } = await import("connect-redis");
  const { createClient } = await import("redis");
  const client = createClient({ url });
  await client.connect();
  return new RedisStore({ client });
}

const app = express();
app.use(
  session({
    secret: "only for the comparison",
    resave: false,
    saveUninitialized: false,
    store: url ? await redisStore() : new session.MemoryStore(),
  }),
);

function signedIn(request, response, next) {
  if (request.session.visits === undefined) return response.sendStatus(401);
  next();
}

app.post("/login", (request, response) => {
  request.session.visits = 0;
  response.json({ visits: 0 });
});

app.get("/check", signedIn, (request, response) => {
  response.json({ visits: request.session.visits });
});

app.post("/visit", signedIn, (request, response) => {
  request.session.visits += 1;
  response.json({ visits: request.session.visits });
});

app.listen(Number(port), "127.0.0.1");

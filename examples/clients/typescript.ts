// npx openapi-typescript openapi/countersign.json --output api.d.ts; npm install openapi-fetch
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const { BASE_URL: baseUrl, EMAIL: email = "", PASSWORD: password = "" } = process.env;
const api = createClient<paths>({ baseUrl });

const credentials = { email, password, remember: false, transport: "bearer" as const };
const { data: session, error } = await api.POST("/api/v1/session", { body: credentials });
if (error) throw new Error(error.code);

const headers = { authorization: `Bearer ${session.token}` };
const { data: counted } = await api.POST("/api/v1/session/visits", { headers });
console.log(`visit number ${counted?.visits}`);
await api.DELETE("/api/v1/session", { headers });

// Prints every example as {event, body, signature}, signed with the secret given as argument.
import { createRequire } from "node:module";
import { sign } from "@octokit/webhooks-methods";

const definitions = createRequire(import.meta.url)("@octokit/webhooks-examples");
const secret = process.argv[2];

const deliveries = [];
for (const { name, examples } of definitions) {
  for (const example of examples) {
    const body = JSON.stringify(example);
    deliveries.push({ event: name, body, signature: await sign(secret, body) });
  }
}
process.stdout.write(JSON.stringify(deliveries));

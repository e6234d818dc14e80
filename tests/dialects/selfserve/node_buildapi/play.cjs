// Plays the calls that standard input names, one after the other, and prints what came of each.
const makeClient = require("node-buildapi");
const { readFileSync } = require("node:fs");

const { options, calls } = JSON.parse(readFileSync(0, "utf8"));
console.log = () => {}; // the client prints words of its own
const client = makeClient(options);

function play([name, ...values]) {
  return new Promise((resolve) => {
    // Reading answers with a value alone, asking with an error or a number and a message.
    client[name](...values, (first, id, message) => {
      resolve(first instanceof Error ? { error: first.message } : { value: first, id, message });
    });
  });
}

(async () => {
  const told = [];
  for (const call of calls) told.push(await play(call));
  process.stdout.write(JSON.stringify(told));
})();

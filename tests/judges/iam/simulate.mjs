// Reads a list of simulations as JSON, and writes what each comes to: Allowed, ImplicitlyDenied, ExplicitlyDenied.
// A simulation that can't be run, or in which something that the request says was overlooked, is told as an object.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { runSimulation } = createRequire(`${process.argv[2]}/`)("@cloud-copilot/iam-simulate");
const results = [];
for (const simulation of JSON.parse(readFileSync(0, "utf8"))) {
    const answer = await runSimulation(simulation, {});
    const ignored = answer.result?.ignoredContextKeys ?? [];
    if (answer.resultType === "error") results.push(answer.errors);
    else results.push(ignored.length ? { ignored } : answer.overallResult);
}
console.log(JSON.stringify(results));

// Reads queries as a JSON list from standard input, and writes for each the places at which it is no LogQL, by the
// grammar that Grafana's editor has. The first argument is the folder in which npm put it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { parser } = createRequire(`${process.argv[2]}/`)("@grafana/lezer-logql");
const wrong = query => {
    const places = [];
    parser.parse(query).iterate({ enter: node => void (node.type.isError && places.push(node.from)) });
    return places;
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(wrong)));

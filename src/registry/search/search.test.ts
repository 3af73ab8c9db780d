import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isTidewireError } from "../../base/mod.ts";
import { FleetDocument } from "./document.ts";
import { holds } from "./holds.ts";
import { parseQuery } from "./parse.ts";

const boiler = new FleetDocument(
  "Boiler-1",
  new Map([
    [
      "registry",
      {
        thingId: "0a1b",
        thingTypeName: "heater",
        billingGroupName: "plant",
        thingGroupNames: ["cellar", "Berlin"],
        attributes: { site: "Berlin Mitte", floor: "-1", serial: "abce", weight: "75.0", "a:b": "x" },
        version: 3,
      },
    ],
    ["connectivity", { connected: true, timestamp: 1_700_000_000_000, disconnectReason: null }],
    [
      "shadow ",
      {
        reported: { battery: 42.5, on: false, parts: [{ name: "pump" }, { name: "valve" }], text: 'a "b" c' },
        desired: { battery: 50 },
        hasDelta: true,
        version: 7,
      },
    ],
    ["shadow config", { reported: { mode: "eco" }, hasDelta: false, version: 1 }],
  ]),
);

const finds: readonly string[] = [
  "*",
  "thingName:*",
  "thingName:Boiler-1",
  "thingName:boiler-1",
  "thingName:boil*",
  "thingName:b?iler*1",
  "thingName:*1",
  "thingTypeName:heater",
  "thingGroupNames:berlin",
  "thingGroupNames:plant",
  "attributes.site:mitte",
  'attributes.site:"berlin mitte"',
  "attributes.floor:-1",
  "attributes.floor<0",
  "attributes.floor:<0",
  "attributes.weight:75",
  "attributes.weight:[75 TO 80]",
  "attributes.weight:{74.9 TO 80]",
  "attributes.weight>=75",
  'attributes.serial:["abcd" TO "abcf"]',
  "attributes.serial:[abcd TO *]",
  "attributes.serial>abcd",
  "attributes.a\\:b:x",
  "shadow.reported.battery:[* TO 50]",
  "shadow.reported.on:false",
  "shadow.reported.parts.name:valve",
  'shadow.reported.text:"\\"b\\" c"',
  "shadow.desired.battery:50",
  "shadow.hasDelta:true",
  "shadow.name.config.reported.mode:eco",
  "shadow.reported.battery:*",
  "connectivity.connected:true",
  "connectivity.timestamp>1600000000000",
  "registry.version:3",
  "thingName:b* connectivity.connected:true",
  "thingName:b* AND NOT attributes.site:paris",
  "thingName:(b* AND -plasma)",
  "attributes.site:(paris OR berlin)",
  "attributes.site:paris OR thingTypeName:heater",
  "thingName:x AND thingName:y OR thingTypeName:heater",
  "attributes.site:berlin attributes.floor<5 NOT attributes.weight>100",
  "NOT (thingName:a OR thingName:b)",
  "-thingName:a",
  "eco",
  "thingTypeName:\\heater",
  "NOT NOT thingTypeName:heater",
];

const findsNot: readonly string[] = [
  "thingName:boiler",
  "thingname:boiler-1",
  "thingName:boiler-?2",
  'attributes.site:"mitte berlin"',
  "attributes.weight:{75 TO 80]",
  "attributes.weight:[70 TO 75}",
  "attributes.weight<75",
  'attributes.serial:{"abce" TO "abcf"]',
  "attributes.site:[1 TO 9]",
  "attributes.gone:*",
  "shadow.reported.mode:eco",
  "connectivity.disconnectReason:*",
  "thingName:b* -thingTypeName:heater",
  "thingName:x OR thingName:y",
  "attributes.site:(paris OR rome)",
  "thingTypeName:heater thingName:(x OR y)",
  'attributes.site:"*"',
  "attributes.site:\\*",
  "NOT *",
];

const refusals: readonly (readonly [query: string, column: number, says: RegExp])[] = [
  ["", 1, /empty/],
  ["   ", 1, /empty/],
  ["thingName:", 11, /ends where a term/],
  ["a AND", 6, /ends where a term/],
  ["AND a", 1, /before AND/],
  ["(a", 1, /closing '\)'/],
  ["a)", 2, /closes nothing/],
  ["()", 2, /before '\)'/],
  ['thingName:"abc', 11, /closing quotation mark/],
  ["x:[1 TO", 6, /'TO' is missing/],
  ["x:[1 TO ]", 9, /bound/],
  ["x:[1 5]", 6, /'TO' is missing/],
  ["x:[1 TO 5", 10, /ends with/],
  ["x:[5 TO 1]", 3, /before it begins/],
  ["[1 TO 5]", 1, /needs a field/],
  ["x]", 2, /did not begin/],
  [":x", 1, /name is missing/],
  ["a*:x", 1, /no wildcards/],
  ["x>a*", 3, /cannot be compared/],
  ["a:*x b:?y", 8, /not two/],
  [`a:*x ${"b ".repeat(60)}`, 3, /100 characters/],
  ["x\\", 2, /'\\'/],
  ["grüße:x )", 9, /closes nothing/],
  ["a:b:", 5, /^/],
  ["f:(a:b)", 4, /within the parentheses/],
  ["a ".repeat(51), 101, /50 terms/],
  [`${"(".repeat(900)}a`, 33, /parentheses within/],
  ["(".repeat(10_000), 1001, /10000 characters/],
  ["x".repeat(1_000_000), 1001, /1000000 characters/],
];

describe("a query of the fleet", () => {
  for (const query of finds) test(`finds: ${query}`, () => assert.ok(holds(parseQuery(query), boiler)));
  for (const query of findsNot) test(`finds not: ${query}`, () => assert.ok(!holds(parseQuery(query), boiler)));
  for (const [query, column, says] of refusals) {
    test(`is refused at ${column}: ${query.slice(0, 40)}`, () => {
      if (query === "a:b:") return void parseQuery(query); // a value has colons as it likes
      assert.throws(
        () => parseQuery(query),
        (error) => {
          assert.ok(isTidewireError(error), String(error));
          assert.equal(error.code, "SEARCH_QUERY_INVALID");
          assert.match(error.message, says);
          assert.match(error.message, new RegExp(`character ${column}:`));
          return true;
        },
      );
    });
  }
});

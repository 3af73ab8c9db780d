import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { topicMatches } from "../base/mod.ts";
import { TopicRoutes } from "./topic-routes.ts";

const level = fc.constantFrom("a", "b", "", "$x", "c");
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/"));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all ? ["#"] : [])].join("/"))
  .filter((filter) => filter !== "");

const changes = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("put" as const), name: fc.constantFrom("p", "q", "r", "s", "t"), filter: filters }),
    fc.record({ kind: fc.constant("delete" as const), name: fc.constantFrom("p", "q", "r", "s", "t") }),
    fc.record({ kind: fc.constant("route" as const), topic: topics.filter((topic) => topic !== "") }),
  ),
  { maxLength: 60 },
);

test("finds what a look at every rule would find, in the same order, whatever was put, replaced and deleted", () => {
  fc.assert(
    fc.property(changes, (steps) => {
      const routes = new TopicRoutes<string>();
      const model = new Map<string, string>();
      let version = 0;
      const ruleOf = new Map<string, string>();
      for (const step of steps) {
        if (step.kind === "put") {
          const rule = `${step.name}${version++}`;
          routes.put(step.name, step.filter, rule);
          model.set(step.name, step.filter);
          ruleOf.set(step.name, rule);
        } else if (step.kind === "delete") {
          routes.delete(step.name);
          model.delete(step.name);
        } else {
          const expected = [...model].filter(([, filter]) => topicMatches(filter, step.topic));
          assert.deepEqual(
            routes.route(step.topic),
            expected.map(([name]) => ruleOf.get(name)),
          );
        }
      }
      assert.equal(routes.size, model.size);
    }),
    { numRuns: 1_000 },
  );
});

test("a topic that no rule wants is remembered, and found once a rule wants it", () => {
  const routes = new TopicRoutes<string>();
  assert.deepEqual(routes.route("a/b"), []);
  routes.put("all", "#", "all");
  assert.deepEqual(routes.route("a/b"), ["all"]);
  routes.clear();
  assert.deepEqual(routes.route("a/b"), []);
});

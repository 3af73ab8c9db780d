import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isTidewireError } from "../base/mod.ts";
import { compilePolicy } from "./compiled-policy.ts";
import type { CompiledPolicy } from "./compiled-policy.ts";
import { DEFAULT_POLICY_DOCUMENT } from "./default-policy.ts";
import { parsePolicy } from "./policy-document.ts";
import { CONDITION_CASES } from "./policy-conditions.cases.ts";
import { INVALID_DOCUMENTS } from "./policy-invalid.cases.ts";
import { POLICY_CASES } from "./policy.cases.ts";
import { BARE, REGISTERED, aws } from "./policy.fixture.ts";
import type { Question } from "./policy.fixture.ts";
import { policyWarnings } from "./policy-warnings.ts";
import type { PolicyContext } from "./variables.ts";

function compiled(statements: readonly unknown[], context: PolicyContext): CompiledPolicy {
  const document = parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statements }));
  return compilePolicy([{ name: "p", document }], context);
}

function ask(policy: CompiledPolicy, [verb, subject]: Question): boolean {
  const answers: Readonly<Record<Question[0], () => boolean>> = {
    connect: () => policy.connect(subject),
    publish: () => policy.publish(subject, false),
    retain: () => policy.publish(subject, true),
    subscribe: () => policy.subscribe(subject),
    receive: () => policy.receive(subject),
  };
  return answers[verb]();
}

describe("policies decide as AWS IoT does", () => {
  for (const { title, statements, context, questions } of [...POLICY_CASES, ...CONDITION_CASES]) {
    test(title, () => {
      const policy = compiled(statements, context);
      for (const question of questions) {
        assert.equal(ask(policy, question), question[2], `${question[0]} ${question[1]}`);
      }
    });
  }
});

describe("documents that cannot be evaluated are refused with the place that is wrong", () => {
  for (const [title, document, says] of INVALID_DOCUMENTS) {
    test(title, () => {
      assert.throws(
        () => parsePolicy(document),
        (error) => isTidewireError(error) && error.code === "POLICY_INVALID" && says.test(error.message),
      );
    });
  }
});

describe("the default policy", () => {
  const policyOf = (context: PolicyContext): CompiledPolicy =>
    compilePolicy([{ name: "tidewire-default", document: parsePolicy(DEFAULT_POLICY_DOCUMENT) }], context);

  test("a thing may be itself and nobody else", () => {
    const policy = policyOf(REGISTERED);
    const questions: readonly Question[] = [
      ["connect", "sensor-7", true],
      ["connect", "sensor-70", false],
      ["publish", "telemetry/sensor-7/system", true],
      ["retain", "telemetry/sensor-7/system", true],
      ["publish", "telemetry/sensor-8/system", false],
      ["publish", "$aws/things/sensor-7/shadow/update", true],
      ["publish", "commands/sensor-7/reboot", false],
      ["subscribe", "commands/sensor-7/#", true],
      ["subscribe", "commands/+/x", false],
      ["subscribe", "commands/#", false],
      ["subscribe", "#", false],
      ["subscribe", "telemetry/sensor-7/#", false],
      ["subscribe", "$aws/things/sensor-7/shadow/get/+", true],
      ["subscribe", "$aws/things/+/shadow/get/accepted", false],
      ["receive", "commands/sensor-7/reboot", true],
      ["receive", "commands/sensor-8/reboot", false],
    ];
    for (const question of questions) assert.equal(ask(policy, question), question[2], `${question[0]} ${question[1]}`);
  });

  test("a certificate without a thing may do nothing at all", () => {
    const policy = policyOf(BARE);
    assert.equal(policy.connect("client1"), false);
    assert.equal(policy.publish("telemetry//x", false), false);
    assert.equal(policy.subscribe("commands//#"), false);
  });

  test("it raises no warning", () => assert.deepEqual(policyWarnings(parsePolicy(DEFAULT_POLICY_DOCUMENT)), []));
});

describe("explanations", () => {
  test("name the statement that decided", () => {
    const policy = compiled(
      [
        { Sid: "All", Effect: "Allow", Action: "iot:*", Resource: "*" },
        { Effect: "Deny", Action: "iot:Publish", Resource: aws("topic/secret/*") },
      ],
      BARE,
    );
    assert.deepEqual(policy.explain("Publish", "secret/a"), {
      allowed: false,
      decidedBy: { policy: "p", statement: 1, sid: null, effect: "Deny" },
      sentence: "iot:Publish on topic 'secret/a' is denied by policy 'p' statement 1",
      notes: [],
    });
    assert.equal(policy.explain("Publish", "open").decidedBy?.sid, "All");
  });

  test("say which variable had no value and which condition failed", () => {
    const policy = compiled(
      [
        { Effect: "Allow", Action: "iot:Publish", Resource: aws("topic/${iot:Connection.Thing.ThingName}/x") },
        {
          Effect: "Allow",
          Action: "iot:Publish",
          Resource: "*",
          Condition: { Bool: { "iot:Connection.Thing.IsAttached": "true" } },
        },
      ],
      BARE,
    );
    const { allowed, notes } = policy.explain("Publish", "client1/x");
    assert.equal(allowed, false);
    assert.equal(notes.length, 2);
    assert.match(notes[0]!, /\$\{iot:Connection\.Thing\.ThingName\} has no usable value/);
    assert.match(notes[1]!, /Bool iot:Connection\.Thing\.IsAttached/);
  });
});

describe("warnings", () => {
  test("resources that no action of the statement meets, and MQTT wildcards in topic names", () => {
    const document = parsePolicy(
      JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Action: "iot:Subscribe", Resource: aws("topic/a/#") },
          { Effect: "Allow", Action: ["iot:Publish", "iot:Connect"], Resource: aws("topicfilter/a") },
        ],
      }),
    );
    const warnings = policyWarnings(document);
    assert.equal(warnings.length, 4);
    assert.match(warnings[0]!, /Statement\[0\].*topicfilter/);
    assert.match(warnings[1]!, /holds \+ or #/);
  });
});

describe("properties", () => {
  const name = fc.string({ unit: fc.constantFrom("a", "b", "/", "+", "#", "$", "*", "?", "{", "}"), maxLength: 12 });

  test("no client id gets more than its own literal name through ${iot:ClientId}", () => {
    fc.assert(
      fc.property(name, name, (clientId, other) => {
        const policy = compiled(
          [{ Effect: "Allow", Action: "iot:Subscribe", Resource: aws("topicfilter/x/${iot:ClientId}/y") }],
          { ...BARE, clientId },
        );
        if (policy.subscribe(`x/${other}/y`)) assert.equal(other, clientId);
      }),
      { numRuns: 2000 },
    );
  });

  test("a Deny never lets pass more than the same policy without it, whatever the connection lacks", () => {
    const resource = fc.constantFrom(
      "*",
      aws("topic/*"),
      aws("topic/a/${iot:Connection.Thing.ThingName}"),
      aws("topic/a/?"),
    );
    fc.assert(
      fc.property(resource, resource, name, fc.constantFrom(BARE, REGISTERED), (allowed, denied, topic, context) => {
        const allow = { Effect: "Allow", Action: "iot:*", Resource: allowed };
        const without = compiled([allow], context);
        const withDeny = compiled([{ Effect: "Deny", Action: "iot:Publish", Resource: denied }, allow], context);
        if (withDeny.publish(topic, false)) assert.ok(without.publish(topic, false));
      }),
    );
  });

  test("any text is either a document or refused with POLICY_INVALID", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          parsePolicy(text);
        } catch (error) {
          assert.ok(isTidewireError(error) && error.code === "POLICY_INVALID");
        }
      }),
    );
  });
});

describe("a value that is put in never widens what is allowed", () => {
  /** What devices choose: client id, attributes, names in their certificates. */
  const hostile = fc.oneof(
    fc.constantFrom(
      "",
      "#",
      "+",
      "/",
      "*",
      "?",
      "$",
      "${*}",
      "${iot:ClientId}",
      "${",
      "}",
      "a/b",
      "a:b",
      "../a",
      "\u202ea",
    ),
    fc.string({
      unit: fc.constantFrom("a", "b", "/", "+", "#", "$", "*", "?", "{", "}", ":", "\u202e", "😀"),
      maxLength: 6,
    }),
    fc.string({ unit: "binary", maxLength: 8 }),
  );
  const VALUES = {
    "iot:ClientId": (value: string): PolicyContext => ({ ...BARE, clientId: value }),
    "iot:Connection.Thing.ThingName": (value: string) => withThing({ thingName: value }),
    "iot:Connection.Thing.ThingTypeName": (value: string) => withThing({ thingTypeName: value }),
    "iot:Connection.Thing.Attributes[room]": (value: string) => withThing({ attributes: { room: value } }),
    "iot:Certificate.Subject.CommonName": (value: string) => withSubject({ CommonName: [value] }),
    "iot:Certificate.Subject.CommonName.1": (value: string) => withSubject({ CommonName: ["x", value] }),
    "iot:Certificate.Subject.AlternativeName.DNSName": (value: string) =>
      withSubject({ "AlternativeName.DNSName": [value] }),
    "iot:DomainName": (value: string): PolicyContext => ({ ...BARE, domainName: value }),
  } as const;
  type Name = keyof typeof VALUES;
  const names = Object.keys(VALUES) as Name[];

  function withThing(thing: Partial<NonNullable<PolicyContext["thing"]>>): PolicyContext {
    return { ...BARE, thing: { thingName: "t", thingTypeName: "u", attributes: {}, ...thing } };
  }

  function withSubject(subject: Record<string, readonly string[]>): PolicyContext {
    return { ...BARE, certificate: { ...REGISTERED.certificate!, subject } };
  }

  /** The text for itself, as IAM escapes it. */
  const literally = (value: string): string => value.replaceAll(/[*?$]/g, (c) => `\${${c}}`);

  /** What a reader of the policy would take the variable for: the value itself, in names with its backslashes. */
  const meant = (name: Name, value: string): string =>
    name.startsWith("iot:Certificate") && !name.includes("Alternative")
      ? value.replaceAll(/[,"\\=<>;]/g, "\\$&")
      : value;

  const MARK = "\u0001";
  const piece = fc.constantFrom("a", "b", "/", "*", "?", "#", "+", "x/", MARK);
  const tail = fc.array(piece, { maxLength: 5 }).map((parts) => parts.join(""));
  const kind = fc.constantFrom("topic/", "topicfilter/", "client/", "");
  const condition = fc.option(
    fc.record({
      operator: fc.constantFrom("StringEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"),
      key: fc.constantFrom("iot:ClientId", "aws:SourceIp"),
      text: tail,
    }),
    { nil: undefined },
  );
  const statement = fc.record({
    Effect: fc.constantFrom("Allow", "Allow", "Deny"),
    Action: fc.constantFrom("iot:Publish", "iot:*", "iot:Subscribe", "iot:Connect"),
    resource: fc.tuple(kind, tail),
    condition,
  });
  const statements = fc.array(statement, { minLength: 1, maxLength: 4 });
  type Drawn = typeof statements extends fc.Arbitrary<infer T> ? T : never;

  const written = (drawn: Drawn, insert: string): readonly unknown[] =>
    drawn.map(({ Effect, Action, resource: [before, after], condition: when }) => {
      const Condition =
        when === undefined
          ? {}
          : { Condition: { [when.operator]: { [when.key]: when.text.replaceAll(MARK, insert) } } };
      return { Effect, Action, Resource: aws(before + after.replaceAll(MARK, insert)), ...Condition };
    });

  /** Only what stands in a Like or a Resource is a pattern; a literal operator has no escapes for * and ?. */
  const patternsOnly = (drawn: Drawn): boolean =>
    drawn.every(
      ({ condition: when }) => when === undefined || when.operator.endsWith("Like") || !when.text.includes(MARK),
    );

  const questions = fc.array(fc.constantFrom("a", "b", "/", "#", "+", "x/", MARK, "q"), { maxLength: 5 });
  const ACTIONS = ["Publish", "Subscribe", "Connect"] as const;

  test("what is allowed with the variable is allowed with the value as a literal", () => {
    fc.assert(
      fc.property(
        statements.filter(patternsOnly),
        fc.constantFrom(...names),
        hostile.filter((value) => !value.includes("\uffff")),
        questions,
        (drawn, name, value, asked) => {
          const context = VALUES[name](value);
          const withVariable = compiled(written(drawn, `\${${name}}`), context);
          const withLiteral = compiled(written(drawn, literally(meant(name, value))), context);
          const plain = asked.join("").replaceAll(MARK, meant(name, value));
          for (const resource of [plain, value, meant(name, value), `a${value}`, "a", "#", "+", "$SYS/x"]) {
            for (const action of ACTIONS) {
              if (!withVariable.allows(action, resource)) continue;
              assert.ok(withLiteral.allows(action, resource), `${action} ${JSON.stringify(resource)}`);
            }
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("the questions do find something that is allowed", () => {
    const drawn = [
      { Effect: "Allow", Action: "iot:Publish", resource: ["topic/", `x/${MARK}/*`], condition: undefined },
    ] as const;
    for (const name of names) {
      const policy = compiled(written(drawn as unknown as Drawn, `\${${name}}`), VALUES[name]("v"));
      assert.ok(policy.allows("Publish", "x/v/y"), name);
      assert.ok(!policy.allows("Publish", "x/w/y"), name);
    }
  });
});

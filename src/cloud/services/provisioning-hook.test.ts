import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { ApiWorld } from "../api/api.fixture.ts";
import { CLAIM, CREATE, REGISTER, refusedAs, request, withWorld } from "./provisioning.fixture.ts";
import type { Ask, Document } from "./provisioning.fixture.ts";

describe("a pre-provisioning hook", () => {
  async function hooked(
    answer: (question: Document) => unknown,
    check: (ask: Ask, created: Document, world: ApiWorld) => Promise<void>,
  ): Promise<void> {
    const server = createServer((message, response) => {
      let text = "";
      message.on("data", (chunk: Buffer) => (text += chunk.toString()));
      message.on("end", () => {
        const given = answer(JSON.parse(text) as Document);
        if (given !== undefined) response.end(typeof given === "string" ? given : JSON.stringify(given));
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const hook = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      await withWorld(
        async (world, ask) => {
          const { document: created } = await ask(`${CREATE}/json`, {});
          await check(ask, created, world);
        },
        { hook },
      );
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  test("hears who asks, says yes, and overrides parameters", async () => {
    let heard: Document = {};
    await hooked(
      (question) => {
        heard = question;
        return { allowProvisioning: true, parameterOverrides: { SN: "9" } };
      },
      async (ask, created) => {
        const { document } = await ask(`${REGISTER}/json`, request(created));
        assert.equal(document["thingName"], "pump-9");
        assert.equal(heard["claimCertificateId"], CLAIM);
        assert.equal(heard["certificateId"], created["certificateId"]);
        assert.equal(heard["certificatePem"], created["certificatePem"]);
        assert.deepEqual([heard["clientId"], heard["parameters"]], ["c1", { SN: "7" }]);
      },
    );
  });

  for (const [name, answer] of [
    ["says no", { allowProvisioning: false }],
    ["says nothing that is understood", "hello"],
    ["says yes as text", { allowProvisioning: "true" }],
    ["overrides with a number", { allowProvisioning: true, parameterOverrides: { SN: 1 } }],
  ] as const) {
    test(`that ${name} denies`, () =>
      hooked(
        () => answer,
        async (ask, created, world) => {
          await refusedAs(ask(`${REGISTER}/json`, request(created)), 403, "ACCESS_DENIED");
          assert.equal(world.registry.things.count(), 0);
        },
      ));
  }

  test("may be a program of the platform's own folder; one that fails denies", () =>
    withWorld(async (world, ask) => {
      const { templates } = world.provisioning;
      for (const hook of ["program:../x", "program:none", "file:///bin/sh", "/bin/sh"])
        assert.throws(() => templates.update("t", { hook }), { code: "REQUEST_INVALID" }, hook);
      const write = (name: string, script: string): string => {
        const path = join(world.folder, "hooks", name);
        writeFileSync(path, `#!/bin/sh\n${script}\n`);
        chmodSync(path, 0o755);
        return `program:${name}`;
      };
      const yes = write("yes", 'grep -q \'"SN":"7"\' && echo \'{"allowProvisioning":true}\'');
      templates.update("t", { hook: yes });
      const { document: created } = await ask(`${CREATE}/json`, {});
      await refusedAs(ask(`${REGISTER}/json`, request(created, "8")), 403, "ACCESS_DENIED", /status 1/);
      assert.equal((await ask(`${REGISTER}/json`, request(created))).outcome, "accepted");
    }));
});

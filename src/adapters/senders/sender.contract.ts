/** What every sender of a real server must do; each test file runs it on its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { validateAction } from "../../rules/actions/registry.ts";
import { MessageInput } from "../../rules/input.ts";
import { receiverOf } from "../../rules/mod.ts";
import type { Parcel, Receiver, Sender } from "../../rules/mod.ts";
import { RuleMatch, deliveryOf, sendsOf } from "../../rules/sends.ts";
import { messageOf } from "../../rules/rules.fixture.ts";
import { OutgoingGuard } from "../outgoing-guard.ts";

export const TIMEOUT = 5_000;

/** What a rule with this action would send for these results of its SELECT. */
export function rendered(
  action: object,
  values: readonly object[],
  from = 0,
): { receiver: Receiver; parcels: Parcel[] } {
  const rule = { ruleName: "r", sql: "SELECT * FROM 'a'", ruleDisabled: false, createdAt: 0, fromOffset: 0 };
  const [send] = sendsOf({ ...rule, actions: [validateAction(action, "action")] }, {}, (text) => text);
  const parcels = values.map((value, i) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const input = new MessageInput(messageOf("plant/line", bytes, { receivedAt: 1_700_000_000_000 + i }));
    const occasion = {
      event: String(from + i),
      rule: "r",
      things: [],
      offset: from + i,
      createdAt: 1_700_000_000_000 + i,
      payload: null,
    };
    return deliveryOf(send!, occasion, new RuleMatch(input, value as never, "r"));
  });
  return { receiver: send!.receiver, parcels };
}

export function numbered(count: number, from = 0): { n: number }[] {
  return Array.from({ length: count }, (_, i) => ({ n: from + i }));
}

export interface ContractPlace {
  /** Of the server as it is now. */
  action(): object;
  /** Of a user that the server does not let in. */
  wrongAction(): object;
  open(receiver: Receiver, guard?: OutgoingGuard): Sender;
  /** The `n` of what the server has, in its order. */
  stored(): Promise<number[]>;
  kill(): Promise<void>;
  up(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

/** Tests of one server, in this order. */
export function senderContract(place: ContractPlace): void {
  const types = (verdicts: readonly { type: string }[]): string[] => [...new Set(verdicts.map(({ type }) => type))];

  test("a batch arrives, whole and in order, with one verdict each", async () => {
    const { receiver, parcels } = rendered(place.action(), numbered(300));
    const sender = place.open(receiver);
    const verdicts = await sender.send(parcels, TIMEOUT);
    await sender.close();
    assert.equal(verdicts.length, 300);
    assert.deepEqual(types(verdicts), ["done"]);
    assert.deepEqual(
      (await place.stored()).slice(-300),
      numbered(300).map(({ n }) => n),
    );
  });

  test("a server that went away: tried again later; once it is back, the same sender goes on", async () => {
    const { receiver, parcels } = rendered(place.action(), numbered(1, 1_000), 1_000);
    const sender = place.open(receiver);
    await sender.send(rendered(place.action(), numbered(1, 999), 999).parcels, TIMEOUT);
    await place.kill();
    const [away] = await sender.send(parcels, TIMEOUT);
    assert.deepEqual([away!.type, away!.type === "retry" && away!.scope], ["retry", "target"]);
    await place.up();
    let [back] = await sender.send(parcels, TIMEOUT);
    // What is noticed only now is one more failure.
    if (back!.type === "retry") [back] = await sender.send(parcels, TIMEOUT);
    assert.equal(back!.type, "done", JSON.stringify(back));
    await sender.close();
    assert.equal((await place.stored()).at(-1), 1_000);
  });

  test("a server that stands still costs the time-out, and is tried again", async () => {
    const { receiver, parcels } = rendered(place.action(), numbered(3, 2_000), 2_000);
    const sender = place.open(receiver);
    await sender.send(rendered(place.action(), numbered(1, 1_999), 1_999).parcels, TIMEOUT);
    place.freeze();
    const verdicts = await sender.send(parcels, 200);
    place.thaw();
    assert.deepEqual(types(verdicts), ["retry"]);
    assert.match(JSON.stringify(verdicts[0]), /no answer within 0.2 s/);
    await sender.close();
  });

  test("a wrong password is tried again, and is in no verdict", async () => {
    const { receiver, parcels } = rendered(place.wrongAction(), numbered(1));
    const sender = place.open(receiver);
    const [verdict] = await sender.send(parcels, TIMEOUT);
    await sender.close();
    assert.equal(verdict!.type, "retry");
    assert.doesNotMatch(JSON.stringify(verdict), /hunter2/);
  });

  test("an address that is not allowed is refused for good", async () => {
    const { receiver, parcels } = rendered(place.action(), numbered(1));
    const at = receiver.settings["host"];
    for (const [host, guard] of [
      ["169.254.169.254", new OutgoingGuard()],
      [at as string, new OutgoingGuard({ privateNetworks: false })],
    ] as const) {
      const sender = place.open(receiverOf(receiver.carrier, "x", { ...receiver.settings, host }, String), guard);
      const [verdict] = await sender.send(parcels, TIMEOUT);
      await sender.close();
      assert.equal(verdict!.type, "dead");
      assert.match(JSON.stringify(verdict), /not allowed/);
    }
  });
}

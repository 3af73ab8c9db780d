/** Into the dashboard of a real platform. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { InvitedUser, Role } from "../../src/cloud/api/contract.ts";
import type { PlatformProcess } from "../scenarios/support/platform-process.ts";
import { runCli } from "../scenarios/support/platform-process.ts";
import { live } from "./site.ts";

export interface Login {
  readonly name: string;
  readonly password: string;
}

/** A link that logs the administrator in once. */
export async function loginLink(data: string): Promise<string> {
  const { code, stdout, stderr } = await runCli(["login-link", "--data", data], data);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** Somebody who has taken an invitation. */
export async function addUser(platform: PlatformProcess, name: string, role: Role): Promise<Login> {
  const { invitation } = await platform.api<InvitedUser>("POST", "/api/users", { name, role });
  const password = "correct horse battery";
  const body = JSON.stringify({ invitation: invitation.code, password });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${platform.ready.http}/api/session`, { method: "POST", headers, body });
  assert.equal(answer.status, 204, await answer.text());
  return { name, password };
}

/** Without `as` the administrator. Resolves when the dashboard is live. */
export async function enterDashboard(page: Page, platform: PlatformProcess, as?: Login): Promise<void> {
  const { http, dataDir } = platform.ready;
  if (as === undefined) {
    await page.goto(await loginLink(dataDir));
  } else {
    const answer = await page.request.post(`${http}/api/session`, { data: as });
    assert.equal(answer.status(), 204, await answer.text());
    await page.goto(http);
  }
  await live(page);
}

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PERMISSIONS, ROLES, isPermission, isRole, permissionsOf } from "./permissions.ts";
import type { Permission, Role } from "./permissions.ts";

/** Written out once more, so that nobody changes a right by accident. */
const TABLE: Readonly<Record<Permission, readonly Role[]>> = {
  account: ["administrator", "operator", "viewer"],
  "health:read": ["administrator", "operator", "viewer"],
  "metrics:read": ["administrator", "operator", "viewer"],
  "fleet:read": ["administrator", "operator", "viewer"],
  "fleet:write": ["administrator", "operator"],
  "telemetry:read": ["administrator", "operator", "viewer"],
  "telemetry:write": ["administrator", "operator"],
  "telemetry:erase": ["administrator"],
  "alerts:read": ["administrator", "operator", "viewer"],
  "alerts:write": ["administrator", "operator"],
  "rules:read": ["administrator", "operator", "viewer"],
  "rules:write": ["administrator", "operator"],
  "certificates:read": ["administrator", "operator", "viewer"],
  "certificates:write": ["administrator", "operator"],
  "policies:read": ["administrator", "operator", "viewer"],
  "policies:write": ["administrator"],
  "people:read": ["administrator"],
  "people:write": ["administrator"],
  "audit:read": ["administrator"],
  "platform:read": ["administrator", "operator"],
  "platform:write": ["administrator"],
};

describe("roles", () => {
  for (const permission of PERMISSIONS) {
    test(`${permission}: ${TABLE[permission].join(", ")}`, () => {
      const may = ROLES.filter((role) => permissionsOf(role).has(permission));
      assert.deepEqual(may, TABLE[permission]);
    });
  }

  test("a viewer changes nothing but what is his own", () => {
    const changing = [...permissionsOf("viewer")].filter((permission) => !permission.endsWith(":read"));
    assert.deepEqual(changing, ["account"]);
  });

  test("what is no role or permission is none", () => {
    for (const text of ["", "admin", "Administrator", "constructor", "__proto__"]) {
      assert.equal(isRole(text) || isPermission(text), false, text);
    }
  });
});

/** What one may be allowed to do, and which role is. A route of the API states the one permission that it needs. */

export const PERMISSIONS = [
  /** One's own password, sessions and keys. */
  "account",
  "health:read",
  "metrics:read",
  /** Things, types, groups, tags, presence, search, shadows. */
  "fleet:read",
  "fleet:write",
  /** Readings: series, latest values, SQL, exports, the live view, retained messages. */
  "telemetry:read",
  /** Publishing, and what changes a device's state: shadows, retained messages, ending a connection. */
  "telemetry:write",
  "telemetry:erase",
  "alerts:read",
  "alerts:write",
  "rules:read",
  "rules:write",
  /** Certificates of devices: issue, attach, revoke; join codes. */
  "certificates:read",
  "certificates:write",
  /** What devices may do, and how new ones come to their rights: policies, templates, CAs. */
  "policies:read",
  "policies:write",
  /** Users, roles, everybody's keys and sessions, the platform's token. */
  "people:read",
  "people:write",
  "audit:read",
  /** Backups, settings, upkeep. */
  "platform:read",
  "platform:write",
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** `public`: no login. */
export type RoutePermission = Permission | "public";

export const ROLES = ["administrator", "operator", "viewer"] as const;
export type Role = (typeof ROLES)[number];

const VIEWER: readonly Permission[] = [
  "account",
  "health:read",
  "metrics:read",
  "fleet:read",
  "telemetry:read",
  "alerts:read",
  "rules:read",
  "certificates:read",
  "policies:read",
];

/** Runs the fleet; what devices may do at most, and who the people are, is the administrator's. */
const OPERATOR: readonly Permission[] = [
  ...VIEWER,
  "fleet:write",
  "telemetry:write",
  "alerts:write",
  "rules:write",
  "certificates:write",
  "platform:read",
];

const ALLOWED: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  administrator: new Set(PERMISSIONS),
  operator: new Set(OPERATOR),
  viewer: new Set(VIEWER),
};

export function permissionsOf(role: Role): ReadonlySet<Permission> {
  return ALLOWED[role];
}

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

export function isPermission(text: string): text is Permission {
  return (PERMISSIONS as readonly string[]).includes(text);
}

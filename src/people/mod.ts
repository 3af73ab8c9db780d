export { matchesPattern, mayTouch, nameOf, ownerOf, proofOf } from "./actor.ts";
export type { Actor, Identity } from "./actor.ts";
export { PERMISSIONS, ROLES, isPermission, isRole, permissionsOf } from "./permissions.ts";
export type { Permission, Role, RoutePermission } from "./permissions.ts";

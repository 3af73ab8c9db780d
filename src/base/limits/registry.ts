/** Part of the limits in `limits.ts`: the registry's. Where AWS IoT has a number, it is AWS's. */
import { minutes, seconds } from "../units.ts";

export const REGISTRY_LIMITS = {
  attributesPerThingMax: 50,
  attributeValueLengthMax: 800,
  /** Of things, types, groups, policies and attributes. */
  nameLengthMax: 128,
  templateNameLengthMax: 36,
  descriptionLengthMax: 2_028,
  searchableAttributesMax: 3,
  /** A deployment that still makes things of a type has so long to hear that it is deprecated. */
  typeDeprecationDelay: minutes(5),
  groupDepthMax: 7,
  groupChildrenMax: 100,
  groupsPerThingMax: 10,
  dynamicGroupsMax: 100,
  queryLengthMax: 1_000,
  policiesPerTargetMax: 10,
  versionsPerPolicyMax: 5,
  caCertificatesMax: 10,
  templateBodyLengthMax: 10_240,
  roleArnLengthMax: 2_048,
  tagsPerResourceMax: 50,
  tagKeyLengthMax: 128,
  tagValueLengthMax: 256,
  /** A gateway may stand for many things with one certificate. */
  thingsPerCertificateMax: 100,
  certificatesPerThingMax: 10,
  /** Certificates whose rights are kept in memory: those of every connection, and as many that come and go. */
  principalsCachedMax: 40_000,
  /** Certificates that one change may name as concerned; where there are more, everybody's rights are looked at again. */
  principalsNamedMax: 40_000,
  pageSizeMax: 250,
  /** How stale presence may be after a crash: a fleet that comes back is some transactions, not two for each device. */
  presenceSavedWithin: seconds(1) / 4,
  /** How stale a thing's "last seen" may be after a crash. */
  lastSeenSavedEvery: seconds(30),
  /** Platforms that share a registry give signs of life; who gave none for some of them has no connections any more. */
  platformAliveEvery: seconds(10),
  platformGoneAfter: seconds(45),
} as const;

/** What a new device may do: be itself. Least privilege, one document for all things. */
import { arnOf } from "../base/mod.ts";

export const DEFAULT_POLICY_NAME = "tidewire-default";

const THING = "${iot:Connection.Thing.ThingName}";
const arn = arnOf.resource;

/** Connect as itself, report under its own name, be commanded and answered, and use its own shadow and jobs. */
export const DEFAULT_POLICY_DOCUMENT: string = JSON.stringify(
  {
    Version: "2012-10-17",
    Statement: [
      { Sid: "ConnectAsItself", Effect: "Allow", Action: "iot:Connect", Resource: arn(`client/${THING}`) },
      {
        Sid: "Report",
        Effect: "Allow",
        Action: ["iot:Publish", "iot:RetainPublish"],
        Resource: [arn(`topic/telemetry/${THING}/*`), arn(`topic/$aws/things/${THING}/*`)],
      },
      {
        Sid: "ListenFor",
        Effect: "Allow",
        Action: "iot:Subscribe",
        Resource: [
          arn(`topicfilter/commands/${THING}/*`),
          arn(`topicfilter/responses/${THING}/*`),
          arn(`topicfilter/$aws/things/${THING}/*`),
        ],
      },
      {
        Sid: "Hear",
        Effect: "Allow",
        Action: "iot:Receive",
        Resource: [
          arn(`topic/commands/${THING}/*`),
          arn(`topic/responses/${THING}/*`),
          arn(`topic/$aws/things/${THING}/*`),
        ],
      },
    ],
  },
  null,
  2,
);

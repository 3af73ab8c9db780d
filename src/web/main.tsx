import { render } from "preact";
import { beginInvitation, beginSession, codeInFragment, invitationInFragment } from "./api/session.ts";
import { installDebugHook } from "./debug.ts";
import { listenToBrowser } from "./live/live.ts";
import { App } from "./shell/app.tsx";
import { loadPreferences } from "./shell/preferences.ts";
import { startRouter } from "./shell/router.ts";

// Before anything else: a one-time code must not stay in the address bar or the history.
const code = codeInFragment(location.hash);
const invited = invitationInFragment(location.hash);
if (code !== null || invited !== null) history.replaceState(null, "", "#/");

loadPreferences();
startRouter();
listenToBrowser();
installDebugHook();
render(<App />, document.getElementById("app")!);
if (invited === null) void beginSession(code);
else void beginInvitation(invited);

// The pages, by their addresses. sttgate/console/__init__.py serves the same ones.

import { HelpPage } from "./help/page.js";
import { LivePage } from "./live/page.js";
import { SessionPage } from "./session/page.js";
import { SessionsPage } from "./sessions/page.js";
import { StatusPage } from "./status/page.js";
import { UploadPage } from "./upload/page.js";

/**
 * @typedef {{path: string, title: string, component: Function, icon?: string}} Page
 * `path` may have parts such as ":id", which the component gets in `params`; those with an `icon`
 * stand in the navigation.
 */

/** @type {Page[]} */
export const PAGES = [
  { path: "/", title: "Live", component: LivePage, icon: "wave" },
  { path: "/upload", title: "Upload", component: UploadPage, icon: "upload" },
  { path: "/sessions", title: "Sessions", component: SessionsPage, icon: "list" },
  { path: "/sessions/:id", title: "Session", component: SessionPage },
  { path: "/status", title: "Status", component: StatusPage, icon: "gauge" },
  { path: "/help", title: "Help", component: HelpPage, icon: "help" },
];

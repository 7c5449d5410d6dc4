"use strict";

const EVERY_MS = 3000;
const STORED = "orchestrator-token";
const HEALTH = { up: "good", degraded: "warn", unknown: "warn" };
const STATE = { running: "good", starting: "warn", ending: "warn", lost: "bad", failed: "bad" };
const byId = (id) => document.getElementById(id);

let timer = 0;

function takeTokenFromLink() {
  const match = location.hash.match(/^#token=(.+)$/);
  if (match) {
    sessionStorage.setItem(STORED, decodeURIComponent(match[1]));
    history.replaceState(null, "", location.pathname);
  }
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

class Refused extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem(STORED);
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` } });
  const body = await answer.json();
  if (answer.status === 401 || answer.status === 403) throw new Refused(body.detail);
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

function loadLine(name, share) {
  const line = element("div", "load");
  line.append(element("span", "", name));
  const track = element("div", "track");
  const fill = element("div", "fill");
  fill.style.width = `${Math.round((share ?? 0) * 100)}%`;
  track.append(fill);
  line.append(track, element("span", "value", share === null ? "–" : `${Math.round(share * 100)} %`));
  return line;
}

function serverCard(server) {
  const answers = server.health === "up" || server.health === "degraded";
  const card = element("article", answers ? "card" : "card stale");
  const top = element("div", "top");
  top.append(element("span", "name", server.name));
  top.append(element("span", HEALTH[server.health] ?? "bad", server.health));
  card.append(top);
  const facts = [server.site, `${server.slots.used} of ${server.slots.total} slots taken`];
  if (server.drained) facts.push("drained");
  if (!server.present) facts.push("left the inventory");
  if (server.health_reason) facts.push(server.health_reason);
  card.append(element("p", "note", facts.join(" · ")));
  const load = server.load ?? { cpu: null, memory: null, gpu: null };
  card.append(loadLine("CPU", load.cpu), loadLine("Memory", load.memory), loadLine("GPU", load.gpu));
  return card;
}

function age(moment) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(moment)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

function stream(session) {
  if (session.state === "ended" || session.state === "failed") return "–";
  if (session.sunshine_port) return `${session.address}:${session.sunshine_port}`;
  return session.rtsp_url ?? "–";
}

function sessionRow(session) {
  const row = element("tr");
  row.append(element("td", STATE[session.state] ?? "", session.state));
  row.append(element("td", "", `${session.game} (${session.mode})`));
  row.append(element("td", "", session.server));
  row.append(element("td", "wrap", stream(session)));
  row.append(element("td", "", session.process ? String(session.process.pid) : "–"));
  row.append(element("td", "", age(session.created_at)));
  const id = element("td");
  id.append(element("code", "", session.id));
  id.title = session.id;
  row.append(id);
  row.append(element("td", "wrap", session.error ? session.error.message : session.end_detail ?? ""));
  return row;
}

function show(servers, sessions) {
  byId("servers").replaceChildren(...servers.map(serverCard));
  const rows = sessions.map(sessionRow);
  if (!rows.length) {
    const none = element("tr");
    const cell = element("td", "", "No sessions yet.");
    cell.colSpan = 8;
    none.append(cell);
    rows.push(none);
  }
  byId("sessions").replaceChildren(...rows);
  const up = servers.filter((server) => server.health === "up").length;
  const running = sessions.filter((session) => session.state === "running").length;
  byId("summary").textContent =
    `${up} of ${servers.length} servers up · ${running} session${running === 1 ? "" : "s"} running`;
  byId("content").hidden = false;
  byId("sign-in").hidden = true;
  byId("trouble").hidden = true;
}

function signIn(note) {
  byId("sign-in").hidden = false;
  byId("content").hidden = true;
  byId("summary").textContent = "";
  byId("trouble").hidden = !note;
  byId("trouble").textContent = note ?? "";
  byId("token").focus();
}

async function refresh() {
  clearTimeout(timer);
  if (!sessionStorage.getItem(STORED)) return signIn();
  try {
    const [servers, sessions] = await Promise.all([
      ask("/api/v1/servers"),
      ask("/api/v1/sessions?limit=50"),
    ]);
    show(servers.servers, sessions.sessions);
  } catch (error) {
    if (error instanceof Refused) {
      sessionStorage.removeItem(STORED);
      return signIn(error.message);
    }
    byId("trouble").hidden = false;
    byId("trouble").textContent = `The broker does not answer (${error.message}). What you see is old; trying again.`;
  }
  timer = setTimeout(refresh, EVERY_MS);
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(STORED, byId("token").value.trim());
  byId("token").value = "";
  refresh();
});

takeTokenFromLink();
refresh();

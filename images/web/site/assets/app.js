// Shows the API's version and health, and talks to its WebSocket. No inline code: it runs under a strict CSP.
"use strict";

const REFRESH_MS = 5000;
const RECONNECT_MS = 1000;
const KEPT_LINES = 6;

const byId = (id) => document.getElementById(id);

function showPairs(list, pairs) {
  list.replaceChildren(
    ...pairs.flatMap(([term, text, state]) => {
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      dt.textContent = term;
      dd.textContent = text;
      if (state) dd.className = state;
      return [dt, dd];
    }),
  );
}

async function getJson(path) {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(REFRESH_MS) });
  return { ok: response.ok, body: await response.json() };
}

async function showVersion() {
  try {
    const { body } = await getJson("/api/version");
    showPairs(byId("version"), [
      ["Release", body.release],
      ["Replica", body.replica],
      ["Schema", body.schema_version ?? "not known"],
    ]);
  } catch {
    showPairs(byId("version"), [["API", "not reached", "failed"]]);
  }
}

async function showHealth() {
  try {
    const { ok, body } = await getJson("/health/deep");
    const services = Object.entries(body.services ?? {}).map(([name, check]) => {
      const text = check.error ? `${check.error} after ${check.milliseconds} ms` : `ok in ${check.milliseconds} ms`;
      return [name, text, check.status];
    });
    showPairs(byId("health"), [["Overall", ok ? "ok" : "failed", ok ? "ok" : "failed"], ...services]);
  } catch {
    showPairs(byId("health"), [["Overall", "not reached", "failed"]]);
  }
}

async function refresh() {
  if (!document.hidden) await Promise.all([showVersion(), showHealth()]);
  setTimeout(refresh, REFRESH_MS);
}

function addLine(text) {
  const line = document.createElement("li");
  line.textContent = text;
  byId("lines").prepend(line);
  while (byId("lines").children.length > KEPT_LINES) byId("lines").lastChild.remove();
}

let socket;

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/ws`);
  socket.onopen = () => {
    byId("send").disabled = false;
    addLine("connected");
  };
  socket.onmessage = (event) => {
    const { message, release } = JSON.parse(event.data);
    addLine(`“${message}” from release ${release}`);
  };
  socket.onclose = (event) => {
    byId("send").disabled = true;
    addLine(`closed (${event.code}), connecting again`);
    setTimeout(connect, RECONNECT_MS);
  };
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState === WebSocket.OPEN) socket.send(byId("message").value);
});

refresh();
connect();

// The gateway's own metrics. nginx asks for `counted` once a request, when it writes the access log; what has its log
// off is not counted. The shared zone outlives a reload and adds up what all workers count.

const BOUNDS = [50, 100, 200, 300, 500, 1000, 2000, 5000, 10000];  // milliseconds
const CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const UPGRADED = "1xx";
const REFUSED = "refused rate";
const SUM = "milliseconds";

function counted(r) {
    const zone = ngx.shared.gateway;
    const v = r.variables;
    const app = v.app;
    const status = CLASSES[Math.floor(v.status / 100) - 1];
    if (status === undefined) {
        return "1";
    }
    try {
        if (status === UPGRADED) {
            // Lasts as long as somebody looks at a page, which says nothing about the app.
            zone.incr(cell(app, UPGRADED, 0), 1);
            return "1";
        }
        // nginx counts whole milliseconds, so that the sum stays exact.
        const took = Math.round(v.request_time * 1000);
        let slot = 0;
        while (slot < BOUNDS.length && took > BOUNDS[slot]) {
            slot++;
        }
        zone.incr(cell(app, status, slot), 1);
        zone.incr(cell(app, SUM, 0), took);
        if (v.limit_req_status === "REJECTED") {
            zone.incr(REFUSED, 1);
        }
    } catch (problem) {
        r.error(`metrics: ${problem.message}`);  // a full zone must not take the log
    }
    return "1";
}

function cell(app, kind, slot) {
    return `${app} ${kind} ${slot}`;
}

function page(r) {
    const requests = [
        "# HELP gateway_requests_total Requests answered, by the app of their route (none: the gateway itself).",
        "# TYPE gateway_requests_total counter",
    ];
    const seconds = [
        "# HELP gateway_request_seconds From a request's first byte to its answer's last, without WebSockets.",
        "# TYPE gateway_request_seconds histogram",
    ];
    const refused = [
        "# HELP gateway_refused_total Requests that the gateway refused itself.",
        "# TYPE gateway_refused_total counter",
        `gateway_refused_total{reason="rate"} ${value(REFUSED)}`,
    ];
    r.variables.apps.split(" ").forEach(app => write(app, requests, seconds));
    r.headersOut["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8";
    r.return(200, requests.concat(seconds, refused, "").join("\n"));
}

// Each cell is read once, so that counts and histogram agree.
function write(app, requests, seconds) {
    const buckets = new Array(BOUNDS.length + 1).fill(0);
    CLASSES.forEach(status => {
        let total = 0;
        buckets.forEach((_, slot) => {
            const found = value(cell(app, status, slot));
            total += found;
            buckets[slot] += status === UPGRADED ? 0 : found;
        });
        requests.push(`gateway_requests_total{app="${app}",status="${status}"} ${total}`);
    });
    let below = 0;
    buckets.forEach((found, slot) => {
        const bound = slot < BOUNDS.length ? BOUNDS[slot] / 1000 : "+Inf";
        below += found;
        seconds.push(`gateway_request_seconds_bucket{app="${app}",le="${bound}"} ${below}`);
    });
    seconds.push(`gateway_request_seconds_sum{app="${app}"} ${value(cell(app, SUM, 0)) / 1000}`);
    seconds.push(`gateway_request_seconds_count{app="${app}"} ${below}`);
}

function value(key) {
    return ngx.shared.gateway.get(key) || 0;
}

export default {counted, page};

-- wrk.lua - makes wrk ask DEPTH times at once, or once a connection, and say its figures as JSON.
function init(arguments)
    local depth, keep = tonumber(arguments[1]), arguments[2] == "keep"
    if not keep then
        wrk.headers["Connection"] = "close"
    end
    local one, all = wrk.format(), {}
    for n = 1, depth do
        all[n] = one
    end
    whole = table.concat(all)
end

function request()
    return whole
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '{"requests":%d,"rps":%.1f,"seconds":%.4f,"errors":%d,' ..
        '"latency_us":{"p50":%d,"p90":%d,"p99":%d,"p999":%d,"max":%d}}\n',
        summary.requests, summary.requests / (summary.duration / 1e6), summary.duration / 1e6,
        e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(90), latency:percentile(99),
        latency:percentile(99.9), latency.max))
end

-- Sends one request again and again, each time with the next cookie of a file.
--
-- wrk ... -s rotate.lua URL -- METHOD PATH COOKIES
--
-- An older token of a living session stays good, so the cookies that answers set are left alone:
-- looking at answers in Lua would cost wrk more than some of the servers need to make them.

local requests = {}
local last = 0

function init(args)
  local method, path, cookies = args[1], args[2], args[3]
  for cookie in io.lines(cookies) do
    requests[#requests + 1] = wrk.format(method, path, { ["Cookie"] = cookie })
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

-- One line for the driver, behind wrk's own report. Times in microseconds.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "micros": %d, "bytes": %d, "p50": %f, "p99": %f, "max": %f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99), latency.max,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end

-- Puts each request into the route bucket of its host: PREFIX and BUCKETS are set above. What a client sent in HEADER is lost.

local byte = string.byte

-- The host's name ends here: before a port and before a final dot.
local function name_end(host)
  local n = #host
  local i = n
  while i > 0 and byte(host, i) >= 48 and byte(host, i) <= 57 do
    i = i - 1
  end
  if i > 0 and byte(host, i) == 58 then
    n = i - 1
  end
  if n > 0 and byte(host, n) == 46 then
    n = n - 1
  end
  return n
end

-- No product passes 2^40, so that doubles are exact. Letters count as lower case.
function bucket(host)
  local h = 0
  for i = 1, name_end(host) do
    local b = byte(host, i)
    if b >= 65 and b <= 90 then
      b = b + 32
    end
    h = (h * 131 + b) % 4294967291
  end
  return h % BUCKETS
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:replace(HEADER, PREFIX .. string.format("%d", bucket(headers:get(":authority") or "")))
  handle:clearRouteCache()
  -- routeName tells of the route found last, and clearRouteCache finds none: only asking for the route's metadata does.
  handle:metadata()
  -- Every route has a name, and a known host answers every path: no name means that nobody has the host.
  if handle:streamInfo():routeName() == "" then
    headers:replace(HEADER, PREFIX .. "wild")
    handle:clearRouteCache()
  end
end

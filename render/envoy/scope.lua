-- Puts each request into the route bucket of its host: PREFIX and BUCKETS are set above. What a client sent in HEADER is lost.

local byte = string.byte

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

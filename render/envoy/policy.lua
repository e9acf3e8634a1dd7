-- Lets only requests through whose host is bound to the policy of this connection: who shook hands for one host could else ask for
-- another, past what its policy demands. POLICY, DEFAULT, EXACT and BELOW are set above.

-- The longest wildcard above a host is the first one met from the left. Letters count as lower case.
function policy(host)
  host = string.lower(string.sub(host, 1, name_end(host)))
  local bound = EXACT[host]
  local from = 1
  while not bound do
    local dot = string.find(host, ".", from, true)
    if not dot then
      return DEFAULT
    end
    bound = BELOW[string.sub(host, dot)]
    from = dot + 1
  end
  return bound
end

function envoy_on_request(handle)
  if policy(handle:headers():get(":authority") or "") ~= POLICY then
    handle:respond({[":status"] = "421"}, MISDIRECTED)
  end
end

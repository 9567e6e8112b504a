# What lego wrote on its way to a failure, as the answer of an engine. Each line of a problem is "[NAME] acme: error: STATUS :: URN :: DETAIL".
[split("\n")[] | select(. != "" and (contains("[INFO]") | not))] as $lines
| [$lines[] | capture("(\\[(?<identifier>[^] ]+)\\].*)?acme: error: (?<status>[0-9]+) ::( [A-Z]+ :: [^ ]+ ::)? (?<type>urn:[A-Za-z:]+) :: (?<detail>.*)")] as $said
| (if $said == [] then {type: "network", detail: ($lines[-1] // "lego said nothing"), status: null, identifier: null} else $said[0] | .status |= tonumber end)
| .detail |= sub(",? url: *$"; "") | .subproblems = (if ($said | length) > 1 then $said | map(del(.status)) else [] end)
| .link = ([.detail | scan("https://[^ <>\"]+[^ <>\".,;:)]")][0] // null)
| {ok: false, problem: ., retry_at: null, order_url: null, ca_date: null}

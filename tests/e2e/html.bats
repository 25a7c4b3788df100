#!/usr/bin/env bats
# --html of report and run, in a browser: what the page holds and does, that it fetches
# nothing, and that names are text in it.

bats_require_minimum_version 1.5.0
load ../lib/command

setup() {
	run_setup
	browse=$top/tests/lib/browse
	page=page.html
	host_pid=
}

teardown() {
	touch go
	[ -z "$host_pid" ] || wait "$host_pid" 2>/dev/null || true
}

# see EXPRESSION...: their values in the page, each a line, in `seen`; nothing went wrong in it
see() {
	"$browse" "$page" "$@" >seen
}

# sees LINE VALUE
sees() {
	equal "$2" "$(sed -n "$1p" seen)"
}

# page_of SCENARIO [ARGUMENT...]: the page of ledgers made by hand
page_of() {
	rm -rf made
	make_ledgers "$1" made
	"$sockleak" report --quiet --html="$page" "${@:2}" made
}

# sound FILE: by tidy, which does not know the nonce
sound() {
	tidy -quiet -errors -utf8 "$1" 2>&1 | grep -v 'proprietary attribute "nonce"' >complaints || true
	equal "" "$(cat complaints)"
}

# The words of all elements that a selector finds.
words() {
	echo "[...document.querySelectorAll('$1')].map(one => one.textContent.trim())"
}

# For `open`, which is what shows sockets and frames.
wait_for() {
	echo "new Promise(done => { const look = () => { const got = $1; got ? done(got) : setTimeout(look, 10) }; look() })"
}

ten_places() {
	without_runtime "its frames are among the program's"
	(cd "$top" && "$sockleak" run --at-exit=all --html="$OLDPWD/$page" --json="$OLDPWD/json" -- "$fixtures/ten_places" 2>"$OLDPWD/text")
}

@test "the page has the places, the counts, the source and both backtraces" {
	ten_places
	sound "$page"
	see "document.title" "$(words 'h1')" "$(words '.facts li')" "$(words '.place .n')" "$(words '#place-1 .source .own')" \
		"$(words '#place-1 .origin .name')" "$(words '#place-1 .eof .name')" "$(words '#place-1 .do p')" \
		"$(words '#place-1 .kind')" "$(words '#place-2 .why, #place-2 .eof')"
	sees 1 '"500 sockets leaked at 10 places - sockleak"'
	sees 2 '["500 sockets leaked at 10 places"]'
	sees 3 '["500 leaked", "10 places", "0 pending", "0 closed late", "1,001 opened", "500 closed", "0 processes not watched"]'
	sees 4 '["200", "120", "60", "45", "30", "20", "12", "8", "4", "1"]'
	sees 5 "[\"$(grep -n '^ACCEPTS(0, true)' "$top/tests/fixtures/ten_places.cc" | tr -d :)\"]"
	[[ $(sed -n 6p seen) == '["gateway::open_accept_0", "gateway::dispatch<>'*'", "serve", "main"]' ]]
	sees 7 '["read_end", "gateway::end_of_peer<>", "gateway::open_accept_0"]'
	sees 8 '["the program was told (eof-read): close the socket where that call returned 0 or failed."]'
	# The sentence of the text.
	grep -qF "[1] $(jq -r '.[0]' <<<"$(sed -n 9p seen)")" text
	sees 10 '["the end of stream is still unread"]'
}

@test "places are filtered and sorted, and the view is in the address" {
	ten_places
	local shown='[...document.querySelectorAll("#list-leak details:not([hidden]) > summary .n")].map(one => one.textContent).join()'
	see "(() => { const box = document.getElementById('filter'); box.value = 'OPEN_CONNECT'; box.dispatchEvent(new Event('input')); return $shown })()" \
		"document.querySelector('[data-key=where]').click(), $shown" \
		"document.querySelector('[data-key=where]').click(), $shown" \
		"location.hash" "document.getElementById('found').textContent" \
		"(() => { const box = document.getElementById('filter'); box.value = ':' + data_of_first_port(); box.dispatchEvent(new Event('input')); return $shown; function data_of_first_port() { return JSON.parse(document.getElementById('data').textContent).places[9].sockets[0][3].split(':')[1] } })()"
	sees 1 '"120,60,30,20,8,4"'
	sees 2 '"120,60,30,20,8,4"'
	sees 3 '"4,8,20,30,60,120"'
	sees 4 '"#filter=OPEN_CONNECT&sort=-where"'
	sees 5 '"6 of 10 places"'
	sees 6 '"1"'
	page+='#filter=OPEN_CONNECT&sort=-where'
	see "$shown" "document.getElementById('filter').value"
	sees 1 '"4,8,20,30,60,120"'
	sees 2 '"OPEN_CONNECT"'
	page=${page%#*}'#place-3'
	see "document.getElementById('place-3').open"
	sees 1 true
}

@test "the sockets of a place are a table that is filtered, sorted and continued; all frames are there" {
	ten_places
	local box="document.querySelector('#place-1 .sockets')"
	local fds="[...$box.querySelectorAll('tbody tr')].map(row => +row.children[1].textContent)"
	see "$box.open = true, $(wait_for "$box.querySelector('tbody tr') && $fds.length")" \
		"$box.querySelector('.more').textContent" \
		"$box.querySelector('.more').click(), $fds.length" \
		"$box.querySelectorAll('th button')[1].click(), (fds => fds.every((fd, i) => !i || fd > fds[i - 1]))($fds)" \
		"(fd => { const filter = $box.querySelector('input'); filter.value = JSON.parse(document.getElementById('data').textContent).places[0].sockets[7][3]; filter.dispatchEvent(new Event('input')); return $fds.length })()" \
		"(frames => { frames.open = true; return $(wait_for "frames.querySelectorAll('li').length") })(document.querySelector('#place-1 .frames'))"
	sees 1 50
	sees 2 '"Show 50 more of 200"'
	sees 3 100
	sees 4 true
	sees 5 1
	sees 6 "$(of '.leaks[0] | (.origin | length) + (.eof | length)')"
}

@test "the icicle has a box for each call, as wide as its sockets, and a click looks closer" {
	ten_places
	local boxes='[...document.querySelectorAll("#icicle g")]'
	see "$boxes.map(box => [box.querySelector('title').textContent.split(/[ \n]/)[0], Math.round(box.querySelector('rect').getAttribute('width') * 500 / document.querySelector('#icicle svg').viewBox.baseVal.width)]).filter(box => /open_/.test(box[0]))" \
		"$boxes.find(box => /open_connect_1/.test(box.textContent)).dispatchEvent(new Event('click')), $boxes.length" \
		"$boxes[0].dispatchEvent(new Event('click')), $boxes.length > 10"
	sees 1 '[["gateway::open_accept_0", 200], ["gateway::open_connect_1", 120], ["gateway::open_connect_2", 60], ["gateway::open_accept_3", 45], ["gateway::open_connect_4", 30], ["gateway::open_connect_5", 20], ["gateway::open_accept_6", 12], ["gateway::open_connect_7", 8], ["gateway::open_connect_8", 4], ["gateway::open_accept_9", 1]]'
	sees 2 1
	sees 3 true
}

@test "without scripts the summary and the cards are there to read" {
	ten_places
	local out
	out=$("$browse" --without-script "$page" "$(words '.place .n')" "$(words '#place-2 .do')" \
		"getComputedStyle(document.getElementById('origins')).display + getComputedStyle(document.querySelector('.bar')).display" \
		"document.querySelector('noscript').textContent.length > 0")
	equal '["200", "120", "60", "45", "30", "20", "12", "8", "4", "1"]' "$(sed -n 1p <<<"$out")"
	[[ $(sed -n 2p <<<"$out") == *"read until a call returns 0 or fails, and close the socket there."* ]]
	equal '"nonenone"' "$(sed -n 3p <<<"$out")"
}

@test "the lines of a language are named, in the card and in the icicle" {
	page_of python
	see "$(words '#place-1 .origin .name')" "$(words '#icicle text')" "[...document.querySelectorAll('#icicle rect')].map(box => box.className.baseVal)"
	sees 1 '["Pool.checkout", "<module>"]'
	[[ $(sed -n 2p seen) == '["leaked", "<module>'*'/srv/app.py:60", "Pool.checkout'* ]]
	sees 3 '["all", "language1", "language0", "language0"]'
}

@test "processes stand below the one that started them, and who was not watched is named with the reason" {
	"$sockleak" run --html="$page" -- sh -c 'env -i sh -c "exit 0"; "$0" leak 1; sh -c ": ; $0 leak 1; :"' "$fixtures/run_host" 2>text
	see "$(words '#processes tbody tr td:first-child')" "[...document.querySelectorAll('#processes tbody td:first-child')].map(cell => cell.className)" "$(words '#unwatched li')"
	equal 2 "$(sed -n 1p seen | grep -o run_host | wc -l)"
	grep -q '^Not watched: ' text
	[[ $(sed -n 3p seen) == *"it was started without LD_PRELOAD: its environment was cleared."* ]]
	make_ledgers family other
	"$sockleak" report --quiet --html="$page" other
	see "$(words '#processes tbody tr td:nth-child(2)')" "[...document.querySelectorAll('#processes tbody td:first-child')].map(cell => cell.className)"
	sees 1 '["100", "100", "102", "101", "200"]'
	sees 2 '["tree d0", "tree d1", "tree d2", "tree d1", "tree d0"]'
}

@test "hostile names are text: no markup, no end of a script, no address" {
	page_of hostile_markup
	sound "$page"
	see "$(words '#place-1 .where .name, #place-1 .where .at')" "$(words '#place-1 .card > .dim:nth-of-type(2)')" \
		"(box => { box.open = true; return $(wait_for "box.querySelector('tbody tr') && box.querySelector('tbody td:last-child').textContent") })(document.querySelector('#place-1 .sockets'))" \
		"document.querySelectorAll('img, iframe, link, object, a, script').length" "$(words '#processes td:first-child, #processes td:nth-child(3)')" "window.was_run === undefined"
	sees 1 '["</script><img src=x onerror=\"was_run=1\">&amp;<b>\\xe2\\x80\\xa8", "/srv/<script>was_run=1</script>'"'"'\\xff{{data}}.py:7"]'
	[[ $(sed -n 2p seen) == *'test </script><!--<script>\\xff\\xe2\\x80\\xa8&lt;'* ]]
	sees 3 '"</script><!--<script>\\xff\\xe2\\x80\\xa8&lt;"'
	sees 4 2
	sees 5 '["/srv/<i>&quot;\"app", "<svg onload=was_run=1>"]'
	sees 6 true
	page_of hostile_names
	sound "$page"
	see 1
}

@test "the page asks no address, and what would be put into it is refused" {
	page_of places
	run ! grep -niE '(src|href|action|data|poster)=|url\(|@import|https?://[^w]' "$page"
	equal "http://www.w3.org/2000/svg" "$(grep -oE 'https?://[^" ]*' "$page" | sort -u)"
	see 1
	sed -i 's#<main>#&<img src="http://127.0.0.1:9/x"><script>document.title = "was run"</script><p style="color:red" onclick="1">#' "$page"
	run -1 --separate-stderr "$browse" "$page" document.title
	[[ $output != *"was run"* ]]
	equal 4 "$(grep -c 'violates the following Content Security Policy directive' <<<"$stderr")"
	# The nonce is another one in each page.
	local before
	before=$(grep -o 'script-src [^;]*' "$page")
	page_of places
	[ "$before" != "$(grep -o 'script-src [^;]*' "$page")" ]
}

@test "100,000 sockets are a page that opens at once and says what it leaves out" {
	page_of many
	[ "$(stat -c %s "$page")" -lt 3000000 ]
	see "document.querySelectorAll('details.place').length" "JSON.parse(document.getElementById('data').textContent).places.reduce((n, place) => n + place.sockets.length, 0)" \
		"performance.getEntriesByType('navigation')[0].loadEventEnd < 20000" \
		"(box => { box.open = true; return $(wait_for "box.querySelector('tbody tr') && box.querySelector('p').textContent") })(document.querySelector('#place-1 .sockets'))" \
		"$(words '#processes p')"
	sees 1 50
	sees 2 20000
	sees 3 true
	sees 4 '"The oldest 400 of 2000 are in this file; `--json` has all."'
	sees 5 '["500 more are not in this file; --json has all."]'
	page_of many_lines
	[ "$(stat -c %s "$page")" -lt 3000000 ]
	see "document.querySelectorAll('details.place').length" "$(words '#left-out')" "performance.getEntriesByType('navigation')[0].loadEventEnd < 20000"
	sees 1 1000
	sees 2 '["4,200 more places with 4,200 sockets are not in this file; --json has all."]'
	sees 3 true
}

@test "the largest page that ledgers can ask for is bounded" {
	page_of long_everything
	[ "$(stat -c %s "$page")" -lt 24000000 ]
	see "document.querySelectorAll('details.place').length"
	sees 1 1000
}

@test "a report without leaks, with pending and with late ones, and with suppressed ones says so" {
	page_of clean
	sound "$page"
	see "$(words 'h1, .verdict')" "document.querySelectorAll('.place').length" "document.getElementById('origins').hidden"
	sees 1 '["No socket leaked", "0 sockets leaked at 0 places; 12 opened, 12 closed"]'
	sees 2 0
	sees 3 true
	page_of leak
	sound "$page"
	see "$(words '#list-pending .n, #list-pending h2')"
	sees 1 '["Pending the peer has gone, and it is no leak yet", "Sockets", "Oldest", "1"]'
	echo "leak:accept_client" >rules
	page_of leak --suppressions=rules
	see "$(words '#rules td')" "$(words '.verdict')"
	sees 1 '["3", "leak:accept_client"]'
	[[ $(sed -n 2p seen) == *"3 suppressed"* ]]
	mkdir nobody
	"$sockleak" report --quiet --html="$page" nobody 2>said
	sound "$page"
	see "$(words 'h1')"
	sees 1 '["No socket leaked, as far as processes were watched"]'
}

@test "sockets over time are the sum of all processes, as their ledgers have it" {
	page_of series
	sound "$page"
	local series="JSON.parse(document.getElementById('data').textContent).series"
	see "$series.filter(point => point[0] % 2000 < 30).map(point => point[1])" "document.querySelector('#chart svg').getAttribute('aria-label')" \
		"document.querySelectorAll('#chart path').length" "document.getElementById('series').hidden"
	sees 1 '[10, 20, 40, 60, 30]'
	sees 2 '"from 10 to 30 sockets open, from 0 to 2 leaked, in 8.0s"'
	sees 3 3
	sees 4 false
	page_of places
	see "document.getElementById('series').hidden"
	sees 1 true
	page_of series_at_end
	see "document.getElementById('series').hidden" "JSON.parse(document.getElementById('data').textContent).series.length > 1"
	sees 1 true
	sees 2 true
}

@test "what leaked over time is divided by place: the six largest, closed ones too, and the others" {
	page_of series_of_places
	sound "$page"
	local data="JSON.parse(document.getElementById('data').textContent)"
	# In each second; the first of the moments that is not before it.
	local seconds="(counts => [...Array(11).keys()].map(n => counts[data.series.findIndex(point => point[0] >= 1000 * n)]))"
	see "(data => data.series_of_places.map(([place, counts]) => [data.places[place].list, ...$seconds(counts)]))($data)" \
		"(data => $seconds(data.series.map((point, i) => point[2] - data.series_of_places.reduce((n, [, counts]) => n + counts[i], 0))))($data)" \
		"[...document.querySelectorAll('#chart path')].map(path => path.className.baseVal)" \
		"$(words '#bands li')" \
		"document.querySelectorAll('#bands a')[3].click(), [...document.querySelectorAll('details.place[open]')].map(one => one.querySelector('.where .at').textContent)" \
		"document.querySelector('#chart .band0').getAttribute('d')"
	local place from
	for place in 1 2 3 4 5 6; do
		from=$((9 - place))
		jq -nc --argjson p "$place" --argjson n "$from" \
			'[if $p == 2 then "late" else "leak" end] + [range(11) | if . < $p or ($p == 2 and . > 7) then 0 else $n end]'
	done | jq -sc . >expected
	equal "$(cat expected)" "$(sed -n 1p seen | jq -c .)"
	sees 2 '[0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 3]'
	# What came last has a width as well.
	[[ $(sed -n 6p seen) == '"M'*'h8V'* ]]
	sees 3 '["band0", "band1", "band2", "band3", "band4", "band5", "others", "open", "leaked"]'
	sees 4 '["8 take /srv/app.py:1", "0 (once 7) take /srv/app.py:2", "6 take /srv/app.py:3", "5 take /srv/app.py:4", "4 take /srv/app.py:5", "3 take /srv/app.py:6", "3 all others"]'
	sees 5 '["/srv/app.py:1", "/srv/app.py:4"]'
}

@test "what only the end of the program closed counts to the end in the series, too" {
	page_of series_by_end
	local data="JSON.parse(document.getElementById('data').textContent)"
	see "(data => data.series.filter(point => point[0] % 1000 < 9).map(point => point[2]))($data)" \
		"(data => data.series_of_places.map(([, counts]) => data.series.map((point, i) => [point[0], counts[i]]).filter(pair => pair[0] % 1000 < 9).map(pair => pair[1])))($data)" \
		"$(words '#chart text.last')" "$(words 'h1')"
	sees 1 '[0, 3, 3, 3]'
	sees 2 '[[0, 3, 3, 3]]'
	sees 3 '["3 leaked"]'
	sees 4 '["3 sockets leaked at 1 place"]'
}

@test "a running process keeps the series, and its leaks grow in it" {
	mkdir kept
	LD_PRELOAD=$library SOCKLEAK_OPTIONS=ledger=$PWD/kept:log=none:grace=1ms:interval=10ms \
		"$host" leak 2 lose say ready wait go >said &
	host_pid=$!
	wait_until 60 grep -q ready said
	reported() { "$sockleak" report --quiet --html="$page" kept && grep -qE '^"series":.*,3\]\],$' "$page"; }
	wait_until 60 reported
	touch go
	wait "$host_pid"
	"$sockleak" report --quiet --html="$page" kept
	grep -qE '^"series":.*,3\]\],$' "$page"
	# At the end all of them are of a place.
	equal 3 "$(sed -n 's/^"series_of_places":\(.*\)}<.*/\1/p' "$page" | jq 'map(.[1][-1]) | add')"
}

@test "light and dark are two pictures" {
	page_of places
	"$browse" --picture=light.png "$page" 'getComputedStyle(document.body).backgroundColor' >light
	"$browse" --dark --picture=dark.png "$page" 'getComputedStyle(document.body).backgroundColor' >dark
	equal '"rgb(255, 255, 255)"' "$(cat light)"
	equal '"rgb(20, 23, 26)"' "$(cat dark)"
	[ "$(stat -c %s light.png)" -gt 20000 ]
	run ! cmp -s light.png dark.png
}

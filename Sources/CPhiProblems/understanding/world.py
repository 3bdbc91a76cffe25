def longest_passage(depths: list[int], draught: int) -> int:
    """A barge may cross the sandbank only while the water is at least as deep as its draught. Soundings were taken
    once an hour. For how many soundings in a row, at best, was the way open?
    """
    best = run = 0
    for depth in depths:
        run = run + 1 if depth >= draught else 0
        best = max(best, run)
    return best


def check_longest_passage(candidate):
    assert candidate([], 3) == 0
    assert candidate([2, 3, 4, 2, 5, 5, 5, 1], 3) == 3
    assert candidate([1, 2], 3) == 0
    assert candidate([3, 3], 3) == 2


def drought_years(rings: list[int], first: int) -> list[int]:
    """On a slice of an old oak the rings were measured, from the inside out; the innermost grew in the given year. A
    year was a drought if its ring is less than half as wide as the three rings before it on average. The first three
    years cannot be judged. List the droughts.
    """
    years = []
    for place in range(3, len(rings)):
        if rings[place] * 6 < sum(rings[place - 3:place]):
            years.append(first + place)
    return years


def check_drought_years(candidate):
    assert candidate([], 1800) == []
    assert candidate([4, 4, 4, 1, 4], 1800) == [1803]
    assert candidate([4, 4, 4, 2, 1, 1], 1900) == [1904, 1905]
    assert candidate([1, 9, 9], 1800) == []


def new_birds(days: list[list[str]]) -> list[int]:
    """A birdwatcher writes down every evening what she saw, some birds more than once. For each day, how many kinds
    had she never written down before, on that day or an earlier one?
    """
    known = set()
    counts = []
    for day in days:
        before = len(known)
        known.update(day)
        counts.append(len(known) - before)
    return counts


def check_new_birds(candidate):
    assert candidate([]) == []
    assert candidate([["wren", "kite", "wren"], [], ["kite", "crow"]]) == [2, 0, 1]
    assert candidate([["owl"], ["owl"]]) == [1, 0]


def darts_left(start: int, visits: list[int]) -> int:
    """In the pub each visit to the board takes its points off what a player has left. A visit that would leave one
    point or less than none is a bust and counts nothing. At zero the leg is won, and later visits belong to the next
    one. What is left in the end?
    """
    left = start
    for points in visits:
        if left and left - points >= 0 and left - points != 1:
            left -= points
    return left


def check_darts_left(candidate):
    assert candidate(501, []) == 501
    assert candidate(100, [60, 39, 40]) == 0
    assert candidate(100, [60, 41, 38]) == 2
    assert candidate(40, [40, 20]) == 0


def flag_falls(seconds: list[int], minutes: int, bonus: int) -> int:
    """A chess player starts with some minutes on the clock and gets a bonus of seconds after each move made in time.
    The seconds of thought for each move are given. At which move, counted from 1, does the flag fall because the
    clock has reached zero or would fall below it? 0 means never.
    """
    clock = minutes * 60
    for number, thought in enumerate(seconds, 1):
        clock -= thought
        if clock <= 0:
            return number
        clock += bonus
    return 0


def check_flag_falls(candidate):
    assert candidate([], 5, 0) == 0
    assert candidate([30, 30], 1, 0) == 2
    assert candidate([30, 30, 10], 1, 5) == 3
    assert candidate([59, 3, 4, 2], 1, 3) == 3


def can_be_juggled(throws: list[int]) -> bool:
    """Jugglers write a pattern as numbers, one a beat and then from the start again: a 3 lands three beats after it
    was thrown. A pattern works if no two throws ever land on the same beat. Does this one?
    """
    landings = {(beat + throw) % len(throws) for beat, throw in enumerate(throws)}
    return len(landings) == len(throws)


def check_can_be_juggled(candidate):
    assert candidate([3]) is True
    assert candidate([5, 3, 1]) is True
    assert candidate([4, 3, 2]) is False
    assert candidate([4, 4, 1]) is True
    assert candidate([5, 4]) is False


def next_change(row: list[int], places: list[int]) -> list[int]:
    """Church bells ring in rows, and from row to row neighbours swap. Bells whose place, counted from 1, is named
    hold still; of the others the first swaps with the second, the third with the fourth, and so on, which are always
    neighbours. What is the next row?
    """
    following = list(row)
    moving = [place for place in range(len(row)) if place + 1 not in places]
    for one, other in zip(moving[::2], moving[1::2]):
        following[one], following[other] = row[other], row[one]
    return following


def check_next_change(candidate):
    assert candidate([1, 2, 3, 4], []) == [2, 1, 4, 3]
    assert candidate([2, 1, 4, 3], [1, 4]) == [2, 4, 1, 3]
    assert candidate([1, 2, 3, 4, 5], [5]) == [2, 1, 4, 3, 5]
    assert candidate([1], [1]) == [1]


def sourdough_hours(grams: int, jar: int) -> int:
    """A sourdough starter doubles every four hours, all at once as it seems to its baker. How many hours does he have
    before it is more than the jar can hold? If it is so already, none.
    """
    hours = 0
    while grams <= jar:
        grams *= 2
        hours += 4
    return hours


def check_sourdough_hours(candidate):
    assert candidate(50, 40) == 0
    assert candidate(50, 50) == 4
    assert candidate(50, 400) == 16
    assert candidate(1, 1000) == 40


def facing(start: str, commands: list[str]) -> str:
    """A recruit faces N, E, S or W and obeys: "left" and "right" are quarter turns, "about" is half a turn. On
    "freeze" he ignores everything until the next "move". Which way does he look in the end?
    """
    compass = "NESW"
    at = compass.index(start)
    frozen = False
    for command in commands:
        if command in ("freeze", "move"):
            frozen = command == "freeze"
        elif not frozen:
            at += {"right": 1, "about": 2, "left": 3}[command]
    return compass[at % 4]


def check_facing(candidate):
    assert candidate("N", []) == "N"
    assert candidate("N", ["left", "left", "left"]) == "E"
    assert candidate("E", ["about", "freeze", "left", "about", "move", "right"]) == "N"
    assert candidate("S", ["freeze", "right"]) == "S"


def flashes_together(one: int, other: int, seconds: int) -> int:
    """Two lighthouses flash, each at its own even pace of so many seconds, and at this moment both do. How often will
    a sailor see them flash at once during the given number of seconds from now, this moment not counted but the last
    one included?
    """
    return sum(1 for second in range(1, seconds + 1) if second % one == 0 and second % other == 0)


def check_flashes_together(candidate):
    assert candidate(4, 6, 0) == 0
    assert candidate(4, 6, 12) == 1
    assert candidate(4, 6, 60) == 5
    assert candidate(5, 5, 24) == 4


def comb_rings(bees: int) -> int:
    """A comb grows from a single cell outwards: around it lies a ring of six cells, around that one of twelve, then
    eighteen, and so on. How many rings does it need so that each bee has a cell of her own? One bee is content with
    the cell in the middle.
    """
    rings, cells = 0, 1
    while cells < bees:
        rings += 1
        cells += 6 * rings
    return rings


def check_comb_rings(candidate):
    assert candidate(1) == 0
    assert candidate(7) == 1
    assert candidate(8) == 2
    assert candidate(37) == 3
    assert candidate(38) == 4


def dry_days(rain: list[int], barrel: int, drink: int) -> int:
    """Each night the rain fills a barrel, which overflows at its size; each following day the goats drink a fixed
    amount, or what there is. The barrel starts empty. On how many days do the goats get less than they want?
    """
    water = days = 0
    for night in rain:
        water = min(barrel, water + night)
        if water < drink:
            days += 1
        water = max(0, water - drink)
    return days


def check_dry_days(candidate):
    assert candidate([], 10, 2) == 0
    assert candidate([5, 0, 0, 0], 10, 2) == 2
    assert candidate([50, 0, 0, 0], 4, 2) == 2
    assert candidate([2, 2, 1], 9, 2) == 1


def captains_share(coins: int, pirates: int) -> list[int]:
    """The pirates line up by rank in front of the chest. Each takes half of the coins that are there, rounded up, and
    goes; the last one takes whatever is left. Who gets how much?
    """
    shares = []
    for _ in range(pirates - 1):
        share = (coins + 1) // 2
        shares.append(share)
        coins -= share
    return shares + [coins]


def check_captains_share(candidate):
    assert candidate(10, 1) == [10]
    assert candidate(10, 3) == [5, 3, 2]
    assert candidate(1, 3) == [1, 0, 0]
    assert candidate(0, 2) == [0, 0]


def league_table(results: list[str]) -> list[str]:
    """Village football: a result reads "Ash 3:1 Oak". A win gives three points, a draw one to either side. Order the
    teams by points, then by the difference of goals shot and conceded, then by name.
    """
    points, goals = {}, {}
    for result in results:
        home, score, guest = result.split(" ")
        shot, conceded = (int(number) for number in score.split(":"))
        for team, difference in ((home, shot - conceded), (guest, conceded - shot)):
            points[team] = points.get(team, 0) + (3 if difference > 0 else 1 if difference == 0 else 0)
            goals[team] = goals.get(team, 0) + difference
    return sorted(points, key=lambda team: (-points[team], -goals[team], team))


def check_league_table(candidate):
    assert candidate([]) == []
    assert candidate(["Ash 3:1 Oak", "Oak 2:0 Elm", "Elm 1:1 Ash"]) == ["Ash", "Oak", "Elm"]
    assert candidate(["Fir 0:0 Bay"]) == ["Bay", "Fir"]
    assert candidate(["Fir 5:0 Bay", "Elm 1:0 Bay"]) == ["Fir", "Elm", "Bay"]


def chairs_needed(parties: list[int], seats: int) -> int:
    """At the ski lift parties wait in a single line and never split up. A chair takes parties from the front as long
    as they fit. One party may be larger than a chair: it then fills as many chairs as it needs, all to itself. How
    many chairs carry everyone up?
    """
    chairs = left = 0
    for party in parties:
        if party > seats:
            chairs += -(-party // seats)
            left = 0
        else:
            if party > left:
                chairs += 1
                left = seats
            left -= party
    return chairs


def check_chairs_needed(candidate):
    assert candidate([], 4) == 0
    assert candidate([2, 2, 1], 4) == 2
    assert candidate([1, 9, 1], 4) == 5
    assert candidate([3, 2, 2, 4], 4) == 3


def comet_returns(seen: int, period: int, born: int, age: int) -> list[int]:
    """A comet was seen in some year and comes by every so many years, before and after that. Somebody born in a given
    year hopes to live to a given age, the year of that birthday included. In which years of this life does the comet
    come?
    """
    return [year for year in range(born, born + age + 1) if (year - seen) % period == 0]


def check_comet_returns(candidate):
    assert candidate(1986, 76, 1950, 80) == [1986]
    assert candidate(1986, 76, 1905, 81) == [1910, 1986]
    assert candidate(2000, 10, 1985, 15) == [1990, 2000]
    assert candidate(2000, 500, 1900, 50) == []

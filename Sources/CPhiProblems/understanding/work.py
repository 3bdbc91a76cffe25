def cash_total(centimes: list[int]) -> int:
    """Swiss shops have no coin below five centimes. The goods are added up exactly, and only the sum is brought to
    the nearest multiple of five, which is never a matter of doubt, as two steps away is closer than three.
    """
    return (sum(centimes) + 2) // 5 * 5


def check_cash_total(candidate):
    assert candidate([]) == 0
    assert candidate([195, 199, 298]) == 690
    assert candidate([3]) == 5
    assert candidate([101, 101, 101]) == 305
    assert candidate([1, 1]) == 0


def hotel_bill(nights: list[str], price: int) -> int:
    """A guest stays on the given nights, "Mon" to "Sun", one after the other. On Friday and Saturday the room costs
    half as much again, the price being even. Every seventh night of the stay is a present of the house, whatever day
    it is.
    """
    total = 0
    for number, night in enumerate(nights, 1):
        if number % 7:
            total += price * 3 // 2 if night in ("Fri", "Sat") else price
    return total


def check_hotel_bill(candidate):
    week = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert candidate([], 80) == 0
    assert candidate(["Thu", "Fri"], 80) == 200
    assert candidate(week, 100) == 700
    assert candidate(week[4:] + week, 100) == 1100


def ferry_trips(queue: list[str], deck: int) -> int:
    """The chain ferry loads what stands at the ramp in its order and leaves when the next vehicle is too long for
    what is left of the deck. A bike needs 1 metre, a car 4, a van 6 and a truck 12; no vehicle is longer than the
    deck. How many trips clear the ramp?
    """
    metres = {"bike": 1, "car": 4, "van": 6, "truck": 12}
    trips = left = 0
    for vehicle in queue:
        if metres[vehicle] > left:
            trips += 1
            left = deck
        left -= metres[vehicle]
    return trips


def check_ferry_trips(candidate):
    assert candidate([], 20) == 0
    assert candidate(["car", "car", "truck"], 20) == 1
    assert candidate(["truck", "truck", "bike"], 20) == 2
    assert candidate(["van", "van", "van", "van", "bike"], 18) == 2
    assert candidate(["car", "truck", "car"], 12) == 3


def runoff_winner(ballots: list[list[str]]) -> str:
    """The choir elects its conductor. Everyone ranks all candidates. As long as nobody is first on more than half of
    the ballots, the candidate who is first on the fewest is struck from all of them; if several are, the one who
    comes last in the alphabet goes. Who is elected?
    """
    ballots = [list(ballot) for ballot in ballots]
    while True:
        firsts = dict.fromkeys(ballots[0], 0)
        for ballot in ballots:
            firsts[ballot[0]] += 1
        best = max(firsts, key=lambda name: firsts[name])
        if firsts[best] * 2 > len(ballots) or len(firsts) == 1:
            return best
        fewest = min(firsts.values())
        gone = max(name for name in firsts if firsts[name] == fewest)
        for ballot in ballots:
            ballot.remove(gone)


def check_runoff_winner(candidate):
    assert candidate([["Ida"]]) == "Ida"
    assert candidate([["Ida", "Jo"], ["Jo", "Ida"], ["Jo", "Ida"]]) == "Jo"
    assert candidate([["A", "B", "C"]] * 4 + [["B", "C", "A"]] * 3 + [["C", "B", "A"]] * 2) == "B"
    assert candidate([["Ida", "Jo"], ["Jo", "Ida"]]) == "Ida"


def late_fee(due: int, back: int, price: int) -> int:
    """The lending library is patient: the first three days beyond the due day are free, every further day costs 25
    cents. Nobody ever pays more than what the book cost. Days are numbered through the year.
    """
    return min(price, 25 * max(0, back - due - 3))


def check_late_fee(candidate):
    assert candidate(10, 5, 900) == 0
    assert candidate(10, 13, 900) == 0
    assert candidate(10, 15, 900) == 50
    assert candidate(10, 300, 900) == 900


def kitchen_call(orders: str) -> str:
    """The waiter shouts what each table wants, as in "2 soup, 1 tea, 1 soup". The cook prefers one line in which
    every dish occurs once with its number, in the order in which the dishes were first shouted: "3 soup, 1 tea".
    """
    wanted = {}
    for order in filter(None, orders.split(", ")):
        number, dish = order.split(" ", 1)
        wanted[dish] = wanted.get(dish, 0) + int(number)
    return ", ".join(f"{number} {dish}" for dish, number in wanted.items())


def check_kitchen_call(candidate):
    assert candidate("2 soup, 1 tea, 1 soup") == "3 soup, 1 tea"
    assert candidate("10 fried rice") == "10 fried rice"
    assert candidate("1 b, 1 a, 2 b, 3 a") == "3 b, 4 a"
    assert candidate("") == ""


def night_minutes(begin: str, end: str) -> int:
    """A nurse's shift runs from one time of day to another, as HH:MM; if the end is not later than the beginning it
    is on the next morning. Work between 22:00 and 06:00 is paid extra. How many minutes of the shift are?
    """
    def minutes(text):
        hours, rest = text.split(":")
        return int(hours) * 60 + int(rest)
    start, stop = minutes(begin), minutes(end)
    if stop <= start:
        stop += 24 * 60
    return sum(1 for minute in range(start, stop) if minute % 1440 >= 22 * 60 or minute % 1440 < 6 * 60)


def check_night_minutes(candidate):
    assert candidate("08:00", "16:00") == 0
    assert candidate("14:00", "22:30") == 30
    assert candidate("21:45", "06:15") == 480
    assert candidate("04:00", "12:00") == 120
    assert candidate("12:00", "12:00") == 480


def forgotten_bag(belt: list[str]) -> str:
    """Suitcases pass on the belt, named by their tags. A tag that comes by for the third time belongs to somebody who
    has fallen asleep. Whose suitcase is noticed first? Answer with its tag, or an empty string if everybody is awake.
    """
    seen = {}
    for tag in belt:
        seen[tag] = seen.get(tag, 0) + 1
        if seen[tag] == 3:
            return tag
    return ""


def check_forgotten_bag(candidate):
    assert candidate([]) == ""
    assert candidate(["a", "b", "a", "b", "b", "a"]) == "b"
    assert candidate(["a", "b", "a", "c"]) == ""
    assert candidate(["x", "x", "x"]) == "x"


def last_wheel(teeth: list[int], degrees: int) -> int:
    """Toothed wheels stand in a row, each driving the next. The first is turned clockwise by some degrees. By how
    many degrees does the last one turn? Clockwise counts as positive, and the result is always a whole number here.
    Remember that neighbours turn against each other, and that a wheel with more teeth turns less.
    """
    turned = degrees * teeth[0] // teeth[-1]
    return turned if len(teeth) % 2 else -turned


def check_last_wheel(candidate):
    assert candidate([12], 90) == 90
    assert candidate([10, 20], 90) == -45
    assert candidate([10, 7, 20], 90) == 45
    assert candidate([30, 8, 8, 10], 60) == -180


def tailor_inches(note: str) -> int:
    """The tailor writes lengths as "3 ft 7 in", and leaves out what is zero: "6 ft", "11 in", or just a dash for
    nothing at all. A foot has twelve inches. Return the length in inches.
    """
    parts = note.split()
    inches = 0
    for number, unit in zip(parts[::2], parts[1::2]):
        inches += int(number) * (12 if unit == "ft" else 1)
    return inches


def check_tailor_inches(candidate):
    assert candidate("3 ft 7 in") == 43
    assert candidate("6 ft") == 72
    assert candidate("11 in") == 11
    assert candidate("-") == 0


def turned_away(visits: list[tuple[int, int]], places: int) -> int:
    """The tiny museum lets in only so many people at once. Each visitor comes at a minute and would leave at a later
    one; the list is in the order of arrival. Someone who leaves makes way for a person arriving in the same minute.
    Whoever finds it full goes away for good. How many do?
    """
    inside = []
    away = 0
    for come, leave in visits:
        inside = [minute for minute in inside if minute > come]
        if len(inside) < places:
            inside.append(leave)
        else:
            away += 1
    return away


def check_turned_away(candidate):
    assert candidate([], 2) == 0
    assert candidate([(0, 10), (1, 5), (2, 9), (5, 6)], 2) == 1
    assert candidate([(0, 10), (10, 20)], 1) == 0
    assert candidate([(0, 10), (1, 99), (2, 3), (10, 11)], 1) == 2


def bell_rings(lines: list[str], width: int) -> int:
    """A typewriter's bell warns when six columns are left before the edge of the paper, that is, as soon as the
    letter at that column has been struck. Blanks move the carriage as letters do. Count the bells while these lines
    are typed, each of which fits the width.
    """
    return sum(1 for line in lines if len(line) >= width - 6)


def check_bell_rings(candidate):
    assert candidate([], 20) == 0
    assert candidate(["short", "x" * 14, "y" * 13, "z" * 20], 20) == 2
    assert candidate(["    a     b    ", ""], 20) == 1


def telegram_price(message: str) -> int:
    """A telegram costs twelve pence a word. Words of more than fifteen letters are charged as two, and the word STOP,
    which stands for a full stop, is free, however it is written.
    """
    pence = 0
    for word in message.split():
        if word.upper() != "STOP":
            pence += 24 if len(word) > 15 else 12
    return pence


def check_telegram_price(candidate):
    assert candidate("") == 0
    assert candidate("ARRIVE MONDAY STOP BRING MONEY stop") == 48
    assert candidate("congratulations") == 12
    assert candidate("incomprehensibly late") == 36


def radio_words(spoken: list[str]) -> str:
    """Pilots spell: each word stands for its first letter, as a capital, but the words zero, one, two, tree, fower,
    fife, six, seven, ait and niner are digits. Write down what was spelled.
    """
    digits = ["zero", "one", "two", "tree", "fower", "fife", "six", "seven", "ait", "niner"]
    written = ""
    for word in spoken:
        word = word.lower()
        written += str(digits.index(word)) if word in digits else word[0].upper()
    return written


def check_radio_words(candidate):
    assert candidate([]) == ""
    assert candidate(["Delta", "echo", "niner", "Tree"]) == "DE93"
    assert candidate(["oscar", "one", "tango", "two", "ait"]) == "O1T28"


def last_piece_done(stations: list[int], pieces: int) -> int:
    """Every chair passes the same stations of the workshop in order, and spends a fixed number of minutes at each. A
    station holds one chair at a time, and between stations there is space for any number of waiting ones. All chairs
    are ready to start at minute 0. When is the last one finished?
    """
    if pieces == 0:
        return 0
    return sum(stations) + (pieces - 1) * max(stations)


def check_last_piece_done(candidate):
    assert candidate([3, 5, 2], 0) == 0
    assert candidate([3, 5, 2], 1) == 10
    assert candidate([3, 5, 2], 4) == 25
    assert candidate([7], 3) == 21


def mail_rounds(letters: list[str]) -> dict[str, list[int]]:
    """The postwoman sorts letters by street. An address reads "12 Mill Lane", the house number first. For every
    street give the numbers that get post, each once, in the order of her walk: up the odd side, then back down the
    even side.
    """
    streets = {}
    for letter in letters:
        number, street = letter.split(" ", 1)
        streets.setdefault(street, set()).add(int(number))
    return {
        street: sorted(n for n in numbers if n % 2) + sorted((n for n in numbers if n % 2 == 0), reverse=True)
        for street, numbers in streets.items()}


def check_mail_rounds(candidate):
    assert candidate([]) == {}
    assert candidate(["2 Elm Row", "5 Elm Row", "1 Elm Row", "8 Elm Row"]) == {"Elm Row": [1, 5, 8, 2]}
    assert candidate(["4 A", "4 A", "3 B"]) == {"A": [4], "B": [3]}


def places_stood(rides: list[tuple[str, str]], start: str) -> list[str]:
    """A driver serves the rides in the given order but refuses to drive empty: a ride is taken only if it begins
    where the taxi stands. Return the places in which the taxi stood, beginning with the first.
    """
    stood = [start]
    for place, goal in rides:
        if place == stood[-1]:
            stood.append(goal)
    return stood


def check_places_stood(candidate):
    assert candidate([], "port") == ["port"]
    assert candidate([("port", "zoo"), ("mall", "port"), ("zoo", "mall")], "port") == ["port", "zoo", "mall"]
    assert candidate([("zoo", "port")], "port") == ["port"]

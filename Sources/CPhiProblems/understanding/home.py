def laundry_loads(basket: list[tuple[str, int]], drum: int) -> int:
    """My flatmate insists that colours never share a drum. The basket is emptied from the top: each piece has a
    colour and a weight in grams. A piece joins the load of its colour that is being collected if the drum still holds
    it; otherwise that load is washed and a new one of this colour begins. How often does the machine run in the end?
    """
    collected = {}
    loads = 0
    for colour, grams in basket:
        if colour not in collected or collected[colour] + grams > drum:
            loads += 1
            collected[colour] = 0
        collected[colour] += grams
    return loads


def check_laundry_loads(candidate):
    assert candidate([], 5000) == 0
    assert candidate([("white", 900), ("red", 300), ("white", 800)], 2000) == 2
    assert candidate([("white", 900), ("red", 300), ("white", 1200), ("white", 100)], 2000) == 3
    assert candidate([("blue", 500)] * 5, 1000) == 3


def still_to_buy(notes: list[str]) -> list[str]:
    """Our fridge door is covered with notes, oldest first. "need milk" asks for milk, "got milk" says that somebody
    has brought some, which settles every earlier wish for it. Capital letters mean nothing. List what is still
    missing, from a to z, each thing once.
    """
    missing = set()
    for note in notes:
        word, thing = note.lower().split(" ", 1)
        if word == "need":
            missing.add(thing)
        else:
            missing.discard(thing)
    return sorted(missing)


def check_still_to_buy(candidate):
    assert candidate([]) == []
    assert candidate(["need milk", "need eggs", "got milk"]) == ["eggs"]
    assert candidate(["got Rye bread", "need rye bread", "NEED Apples", "need apples"]) == ["apples", "rye bread"]
    assert candidate(["need tea", "got tea", "need tea"]) == ["tea"]


def parking_minutes(coins: list[int]) -> int:
    """The old meter in front of the bakery takes three coins: 10 cents buy 6 minutes, 50 cents buy 35 and 100 cents
    buy 80. It spits out everything else. However much one puts in, it never shows more than 120 minutes.
    """
    worth = {10: 6, 50: 35, 100: 80}
    return min(120, sum(worth.get(coin, 0) for coin in coins))


def check_parking_minutes(candidate):
    assert candidate([]) == 0
    assert candidate([10, 20, 50]) == 41
    assert candidate([100, 100]) == 120
    assert candidate([100, 10, 200, 10, 5]) == 92


def scaled_recipe(recipe: dict[str, str], serves: int, guests: int) -> dict[str, str]:
    """Grandmother's card is written for a certain number of people, and more or fewer are coming. An amount is a
    whole number, perhaps with a unit behind it ("200 g", "3"); scale it and round up, because nobody should leave
    hungry. Amounts that do not begin with a number, such as "a pinch", stay as she wrote them.
    """
    scaled = {}
    for thing, amount in recipe.items():
        number, space, unit = amount.partition(" ")
        if number.isdigit():
            number = str(-(-int(number) * guests // serves))
        scaled[thing] = number + space + unit
    return scaled


def check_scaled_recipe(candidate):
    assert candidate({}, 4, 6) == {}
    assert candidate({"flour": "200 g", "eggs": "3", "salt": "a pinch"}, 4, 6) == {
        "flour": "300 g", "eggs": "5", "salt": "a pinch"}
    assert candidate({"milk": "500 ml", "yeast": "1 cube"}, 8, 3) == {"milk": "188 ml", "yeast": "1 cube"}


def lit_minutes(presses: list[int], stays: int) -> int:
    """The lamp in our stairwell goes out by itself some minutes after somebody pushed its button; pushing it while it
    burns makes it burn that long from then on. The presses of an evening are given in minutes since six, in order.
    For how many minutes was there light?
    """
    total = 0
    dark_at = None
    for press in presses:
        begin = press if dark_at is None else max(press, dark_at)
        total += press + stays - begin
        dark_at = press + stays
    return total


def check_lit_minutes(candidate):
    assert candidate([], 3) == 0
    assert candidate([0, 10], 3) == 6
    assert candidate([0, 1, 2], 3) == 5
    assert candidate([5, 5, 8, 20], 4) == 11


def seats_together(row: str, friends: int) -> int:
    """In the cinema we are shy: between us and any stranger there has to be an empty chair, though the wall at either
    end of the row is fine. A row looks like "..x....x", where x is taken. Tell the number of the leftmost chair,
    counted from zero, from which all of us can sit side by side, or -1 if we had better choose another film.
    """
    for first in range(len(row) - friends + 1):
        near = row[max(0, first - 1):first + friends + 1]
        if "x" not in near:
            return first
    return -1


def check_seats_together(candidate):
    assert candidate("..x....x", 2) == 4
    assert candidate("..x....x", 1) == 0
    assert candidate("..x....x", 3) == -1
    assert candidate("...", 3) == 0
    assert candidate("", 1) == -1


def draw_is_fair(draw: dict[str, str], couples: list[list[str]]) -> bool:
    """Before the secret presents are bought, somebody should look at the slips: draw says who gives to whom. The draw
    is fair if everyone who gives also receives exactly one present, nobody has drawn themselves, and nobody has drawn
    the person they came with.
    """
    if sorted(draw) != sorted(draw.values()):
        return False
    partner = {}
    for one, other in couples:
        partner[one], partner[other] = other, one
    return all(giver != taker and partner.get(giver) != taker for giver, taker in draw.items())


def check_draw_is_fair(candidate):
    assert candidate({"Ann": "Bo", "Bo": "Cy", "Cy": "Ann"}, []) is True
    assert candidate({"Ann": "Bo", "Bo": "Cy", "Cy": "Ann"}, [["Cy", "Bo"]]) is False
    assert candidate({"Ann": "Ann", "Bo": "Cy", "Cy": "Bo"}, []) is False
    assert candidate({"Ann": "Bo", "Bo": "Ann", "Cy": "Bo"}, []) is False
    assert candidate({}, [["Ann", "Bo"]]) is True


def true_time(shown: str, gains: int) -> str:
    """The kitchen clock runs ahead: while an hour passes, its hands move sixty minutes and a few more. At noon it was
    set right. Given what it shows now, later on the same day and before midnight, say what time it really is, as
    HH:MM, with begun minutes left out.
    """
    hours, minutes = shown.split(":")
    passed = (int(hours) - 12) * 60 + int(minutes)
    real = passed * 60 // (60 + gains)
    return f"{12 + real // 60:02d}:{real % 60:02d}"


def check_true_time(candidate):
    assert candidate("12:00", 5) == "12:00"
    assert candidate("13:05", 5) == "13:00"
    assert candidate("18:00", 5) == "17:32"
    assert candidate("23:59", 0) == "23:59"
    assert candidate("12:01", 60) == "12:00"


def books_on_boards(widths: list[int], board: int) -> list[int]:
    """Uncle Theo never changes the order of his books. He fills a board from the left until the next volume sticks
    out, and carries on with the board below. Every volume is narrower than a board. How many books stand on each
    board, from the top?
    """
    counts = []
    used = board
    for width in widths:
        if used + width > board:
            counts.append(0)
            used = 0
        counts[-1] += 1
        used += width
    return counts


def check_books_on_boards(candidate):
    assert candidate([], 80) == []
    assert candidate([30, 30, 30], 60) == [2, 1]
    assert candidate([30, 40, 10, 50, 20], 80) == [3, 2]
    assert candidate([79, 2, 79], 80) == [1, 1, 1]


def remote_presses(on: int, wanted: int, channels: int) -> int:
    """The number keys of the remote are worn out; only "up" and "down" work, and behind the last channel comes the
    first one again. Channels start at 1. How few presses bring me from the channel that is on to the one that I want?
    """
    apart = abs(on - wanted)
    return min(apart, channels - apart)


def check_remote_presses(candidate):
    assert candidate(3, 3, 10) == 0
    assert candidate(1, 10, 10) == 1
    assert candidate(2, 7, 10) == 5
    assert candidate(9, 2, 12) == 5


def thirsty_plants(watered: dict[str, int], every: dict[str, int], today: int) -> list[str]:
    """Each plant was last watered on some day and wants water every so many days. Name those whose day has come or
    gone by, the one that has waited longest beyond its day first; if two have waited equally long, by name.
    """
    late = {plant: today - day - every[plant] for plant, day in watered.items()}
    due = [plant for plant in late if late[plant] >= 0]
    return sorted(due, key=lambda plant: (-late[plant], plant))


def check_thirsty_plants(candidate):
    assert candidate({}, {}, 5) == []
    assert candidate({"fern": 1, "cactus": 1}, {"fern": 2, "cactus": 20}, 4) == ["fern"]
    watered, every = {"ivy": 3, "fern": 1, "basil": 4}, {"ivy": 2, "fern": 2, "basil": 1}
    assert candidate(watered, every, 5) == ["fern", "basil", "ivy"]


def wearable_pairs(drawer: str) -> int:
    """These socks are knitted for feet: a capital letter is a left sock and a small letter a right one, the letter
    being its colour. Hyphens are handkerchiefs that got in by mistake. How many proper pairs, a left and a right of
    one colour, can be put on at the same time?
    """
    colours = {sock.lower() for sock in drawer if sock.isalpha()}
    return sum(min(drawer.count(colour), drawer.count(colour.upper())) for colour in colours)


def check_wearable_pairs(candidate):
    assert candidate("") == 0
    assert candidate("aAa-bB") == 2
    assert candidate("aabb--") == 0
    assert candidate("RrRrrG-g") == 3


def way_home(walk: str) -> str:
    """The dog pulled me around town, one block at a time: N, E, S or W. Now it is tired and wants the shortest way
    back. Write the blocks home, those towards north or south first, then those towards east or west.
    """
    north = walk.count("N") - walk.count("S")
    east = walk.count("E") - walk.count("W")
    return "S" * north + "N" * -north + "W" * east + "E" * -east


def check_way_home(candidate):
    assert candidate("") == ""
    assert candidate("NNE") == "SSW"
    assert candidate("NESW") == ""
    assert candidate("SSWWN") == "NEE"


def slices_eaten(slices: int, hunger: list[int]) -> list[int]:
    """The pizza goes around the table. Whoever has it takes one slice, unless they have had as many as they are
    hungry for, and passes it on. It goes around until it is empty or everyone has had enough. How many slices did
    each get?
    """
    eaten = [0] * len(hunger)
    while slices and eaten != hunger:
        for person, wish in enumerate(hunger):
            if slices and eaten[person] < wish:
                eaten[person] += 1
                slices -= 1
    return eaten


def check_slices_eaten(candidate):
    assert candidate(8, [3, 1, 9]) == [3, 1, 4]
    assert candidate(8, [2, 2]) == [2, 2]
    assert candidate(2, [5, 5, 5]) == [1, 1, 0]
    assert candidate(0, [1]) == [0]


def password_hint(phrase: str) -> str:
    """On the paper under her keyboard my aunt keeps a hint: the first and the last letter of each word of her pass
    phrase, and a dot for every letter between them. Words are separated by single blanks, and short words are written
    out.
    """
    def hidden(word):
        return word if len(word) < 3 else word[0] + "." * (len(word) - 2) + word[-1]
    return " ".join(hidden(word) for word in phrase.split(" "))


def check_password_hint(candidate):
    assert candidate("") == ""
    assert candidate("my old horse") == "my o.d h...e"
    assert candidate("a to zebra") == "a to z...a"


def jam_jars(grams: int, jars: list[int]) -> list[int]:
    """There is a pot of jam and a row of empty jars of several sizes. Fill the largest jar first, then the next, and
    so on; a jar that cannot be filled to the brim stays empty, since half a jar spoils. List the sizes of the full
    jars in the order of filling.
    """
    full = []
    for size in sorted(jars, reverse=True):
        if size <= grams:
            full.append(size)
            grams -= size
    return full


def check_jam_jars(candidate):
    assert candidate(1000, []) == []
    assert candidate(1000, [250, 600, 300]) == [600, 300]
    assert candidate(1000, [900, 200, 50, 50]) == [900, 50, 50]
    assert candidate(10, [20, 30]) == []


def who_has_the_key(log: list[str], owner: str) -> str:
    """The key of the allotment wanders. Each line of the log reads "A > B": A handed it to B. A line is a mistake,
    and changes nothing, if A did not have the key at that moment. Who has it now, if the owner had it at the
    beginning?
    """
    holder = owner
    for line in log:
        giver, taker = line.split(" > ")
        if giver == holder:
            holder = taker
    return holder


def check_who_has_the_key(candidate):
    assert candidate([], "Mo") == "Mo"
    assert candidate(["Mo > Al", "Al > Di"], "Mo") == "Di"
    assert candidate(["Al > Di", "Mo > Al", "Mo > Di", "Al > Mo"], "Mo") == "Mo"

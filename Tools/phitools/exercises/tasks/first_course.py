"""The tasks that a first course of programming has. People ask for them more often than for the tables' others, and
decontamination leaves few exercises of them, since benchmarks have many of them."""

NAMES = frozenset(f"{topic}.{name}" for topic, names in {
    "characters": "are_anagrams contains count_each_character starts_with",
    "choices": "calculate full_name greet is_adult is_valid_password letter_grade rock_paper_scissors",
    "dates": "days_in_month is_leap_year split_seconds",
    "dicts": "get_keys has_key invert merge_dicts sort_by_value",
    "digits": "digit_count reverse_number sum_of_digits to_binary",
    "everyday": "body_mass_index celsius_to_fahrenheit circle_area discounted_price fahrenheit_to_celsius rectangle_area",
    "lists": """average count_even_numbers double_all filter_even_numbers maximum_of_list min_and_max minimum_of_list product
        second_largest square_all sum_list""",
    "lists2": """contains count_item first_element first_n index_of_item last_element list_length remove_duplicates remove_item
        reverse_list sort_ascending sort_descending""",
    "lists4": "common_elements concatenate_lists flatten",
    "numbers": """absolute add average_of_two cube difference divide double even_or_odd half is_even is_negative is_odd
        is_positive max_of_three maximum minimum multiply power remainder square subtract""",
    "primes": "divisors factorial fibonacci fibonacci_list gcd is_multiple is_prime",
    "sequences": "countdown even_numbers_up_to fizz_buzz list_squares multiplication_table numbers_between sum_to_n",
    "strings": """capitalize_first count_char count_vowels is_palindrome remove_char remove_spaces repeat reverse_string
        string_length to_lower to_upper""",
    "texts": "add_exclamation shout_it",
    "words": "longest_word reverse_words title_case word_count word_frequency",
}.items() for name in names.split())

import unittest

from words import count


class CountTest(unittest.TestCase):
    def test_counts_each_word(self):
        self.assertEqual(count("to be or not to be")[:2], [("to", 2), ("be", 2)])

    def test_ignores_case_and_punctuation(self):
        self.assertEqual(count("Push! A push?"), [("push", 2), ("a", 1)])

    def test_knows_letters_beyond_ascii(self):
        self.assertEqual(count("Žluťoučký kůň"), [("žluťoučký", 1), ("kůň", 1)])

    def test_an_empty_text_has_no_words(self):
        self.assertEqual(count(""), [])

"""Count the words of a text, most frequent first."""

import re
import sys
from collections import Counter


def count(text):
    return Counter(re.findall(r"[^\W\d_]+", text.lower())).most_common()


def main():
    for word, times in count(sys.stdin.read()):
        print(f"{times:6} {word}")

#!/usr/bin/python3
"""What the conformance run counts as a pass, on made-up output of the runner; needs no broker."""
import os
import tempfile
import unittest

from librdkafka import verdict
from plan import EXCLUDED_ON, ONE, THREE, Case, cases, unnamed
from table import Outcome, read_table, write_table

SUBTEST = Case("0113", "g3", "", "b_test", begun=2, said_passes=1)
ROW = "| 0113_cooperative_rebalance               |     PASSED |  18.222s |\n"
SKIPPED = "| 0113_cooperative_rebalance               |    SKIPPED |   0.000s | Filtered\n"
BEGUN = "[0113_cooperative  /  0.1s] [ b_test:903: close consumer ]\n"
ENDED = "[0113_cooperative  /  9.1s] [ b_test:903: close consumer: PASS (9.19s) ]\n"
AGAIN = "[0113_cooperative  /  9.2s] [ b_test:903: don't close consumer ]\n"


class Verdict(unittest.TestCase):
    def test_a_passed_row_is_a_pass(self):
        self.assertIsNone(verdict(Case("0113", "g3"), 0, 60, ROW))

    def test_a_skipped_row_alone_is_none(self):
        self.assertIn("0 of 1 PASSED rows", verdict(Case("0113", "g3"), 0, 60, SKIPPED))

    def test_a_status_counts_more_than_the_row(self):
        self.assertIn("status 134", verdict(Case("0113", "g3"), 134, 60, ROW))

    def test_a_time_out_says_so(self):
        self.assertIn("not done after 60 s", verdict(Case("0113", "g3"), None, 60, ROW))

    def test_rows_that_are_missing_are_counted(self):
        self.assertIn("1 of 2 PASSED rows", verdict(Case("0113", "g3", rows=2), 0, 60, ROW))

    def test_a_subtest_may_end_without_a_word_if_the_plan_knows_it(self):
        self.assertIsNone(verdict(SUBTEST, 0, 60, BEGUN + ENDED + AGAIN + ROW))

    def test_a_subtest_that_never_began_is_no_pass(self):
        self.assertIn("begun 0 of 2", verdict(SUBTEST, 0, 60, ROW))

    def test_a_subtest_that_began_too_seldom_is_no_pass(self):
        self.assertIn("begun 1 of 2", verdict(SUBTEST, 0, 60, BEGUN + ENDED + ROW))

    def test_a_subtest_that_never_said_pass_is_no_pass(self):
        self.assertIn("passed 0 of 1", verdict(SUBTEST, 0, 60, BEGUN + AGAIN + ROW))

    def test_a_line_that_another_thread_tore_counts(self):
        torn = BEGUN.replace("] [ ", "] [<MAIN>   /  0.0s] 1 test(s) running: 0113_cooperative\n[ ")
        self.assertIsNone(verdict(SUBTEST, 0, 60, torn + ENDED + AGAIN + ROW))

    def test_a_longer_name_of_the_same_beginning_does_not_count(self):
        other = (BEGUN + ENDED + AGAIN).replace("b_test:", "b_test_more:")
        self.assertIn("begun 0 of 2", verdict(SUBTEST, 0, 60, other + ROW))

    def test_what_it_must_not_say_is_no_pass(self):
        case = Case("0113", "g3", said_never=("was not highest",))
        self.assertIsNone(verdict(case, 0, 60, ROW))
        self.assertIn("was not highest", verdict(case, 0, 60, "rxbytes was not highest on 2\n" + ROW))


class Table(unittest.TestCase):
    def test_what_was_not_reached_is_not_run_and_a_second_run_shows(self):
        first, second = cases()[:2]
        outcomes = [Outcome(first, None, 1.0), Outcome(second, None, 1.0, 2, "a | of\nb")]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "table.md")
            write_table({outcome.case.key: outcome.result() for outcome in outcomes}, path=path)
            known = read_table(path=path)
            with open(path, encoding="utf-8") as file:
                text = file.read()
        self.assertEqual(known[first.key], "passed")
        self.assertEqual(known[second.key], "passed (second run); first: a / of b")
        self.assertEqual(known[cases()[2].key], "not run")
        self.assertIn(f"| {ONE} | 2 (1) | 0, ", text)

    def test_either_setup_is_written_without_the_other(self):
        first, second = cases()[:2]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "table.md")
            write_table({first.key: "passed"}, ONE, path=path)
            write_table({second.key: "failed: late"}, THREE, "7 moves", path=path)
            write_table({}, ONE, path=path)
            self.assertEqual(read_table(ONE, path)[first.key], "not run")
            self.assertEqual(read_table(THREE, path)[second.key], "failed: late")
            with open(path, encoding="utf-8") as file:
                self.assertIn("| 7 moves |", file.read())

    def test_a_failure_says_how_often(self):
        self.assertEqual(Outcome(cases()[0], "late", 1.0, 2, "late").result(), "failed 2 times: late")


class Plan(unittest.TestCase):
    def test_no_case_is_there_twice(self):
        keys = [case.key for case in cases()]
        self.assertEqual(len(keys), len(set(keys)))

    def test_what_a_setup_excludes_is_planned(self):
        keys = {case.key for case in cases()}
        self.assertEqual([key for excluded in EXCLUDED_ON.values() for key in excluded if key not in keys], [])

    def test_a_test_that_nobody_names_is_found(self):
        self.assertEqual(unnamed(["0001", "0097", "0113", "9999"]), ["9999"])


if __name__ == "__main__":
    unittest.main()

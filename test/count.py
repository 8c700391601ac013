#!/usr/bin/env python3
"""Counts the results of one Meson test run: prints "passed failed skipped".

A test that speaks TAP counts by its lines, each other test as one. A test that ended badly without a
line that says so (a crash, a time-out, a sanitizer's report) counts as one failure more.
"""
import json
import re
import sys


def count(records, protocols):
    passed = failed = skipped = 0
    for record in records:
        well = record['result'] in ('OK', 'EXPECTEDFAIL')
        lines = []
        if protocols.get(record['name']) == 'tap':
            lines = re.findall(r'^(ok|not ok)\b([^\n]*)', record.get('stdout') or '', re.M)
        here = [0, 0, 0]
        for word, rest in lines:
            if re.search(r'#\s*SKIP', rest, re.I):
                here[2] += 1
            elif word == 'ok':
                here[0] += 1
            else:
                here[1] += 1
        if record['result'] == 'SKIP':
            here[2] += not lines
        elif well and not lines:
            here[0] += 1
        elif not well and not here[1]:
            here[1] += 1
        passed, failed, skipped = passed + here[0], failed + here[1], skipped + here[2]
    return passed, failed, skipped


def self_test():
    records = [{'name': 'a', 'result': 'OK', 'stdout': '1..3\nok 1 - x\nok 2 # SKIP no\nok 3\n'},
               {'name': 'a', 'result': 'FAIL', 'stdout': 'ok 1\nnot ok 2\n'},
               {'name': 'a', 'result': 'ERROR', 'stdout': 'ok 1\n'},
               {'name': 'b', 'result': 'OK', 'stdout': 'ok 1\nok 2\n'},
               {'name': 'b', 'result': 'TIMEOUT'}, {'name': 'b', 'result': 'SKIP'}]
    return count(records, {'a': 'tap', 'b': 'exitcode'}) == (5, 3, 2)


def main():
    if not self_test():
        sys.exit('count.py: its self-test fails')
    with open(sys.argv[1] + '/meson-info/intro-tests.json', encoding='utf-8') as file:
        protocols = {f'{test["suite"][0].split(":")[0]}:{"+".join(suite.split(":")[1] for suite in test["suite"])} / '
                     f'{test["name"]}': test['protocol'] for test in json.load(file)}
    with open(sys.argv[1] + '/meson-logs/testlog.json', encoding='utf-8') as file:
        records = [json.loads(line) for line in file]
    unknown = [record['name'] for record in records if record['name'] not in protocols]
    if unknown:
        sys.exit(f'count.py: no protocol known for {unknown}')
    print(*count(records, protocols))


if __name__ == '__main__':
    main()

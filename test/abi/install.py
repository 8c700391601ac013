#!/usr/bin/env python3
"""The installed package: a host finds, builds against and runs it through pkg-config (shared and static),
CMake (shared and static) and as a Meson subproject."""
import argparse
import os
import shutil
import sys
import tempfile

import tap

CMAKE = '''cmake_minimum_required(VERSION 3.13)
project(host C)
set(CMAKE_C_STANDARD 11)
find_package(sprat %(version)s REQUIRED CONFIG)
add_executable(app_shared "%(app)s")
target_link_libraries(app_shared PRIVATE sprat::sprat)
add_executable(app_static "%(app)s")
target_link_libraries(app_static PRIVATE sprat::static)
'''
MESON = '''project('host', 'c', default_options: ['c_std=c11'])
executable('app', 'app.c', dependencies: dependency('sprat', version: '>= %(version)s'))
'''
WRAP = '''[wrap-file]
directory = sprat

[provide]
dependency_names = sprat
'''


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def find(top, name):
    """The folder under top that holds a file of that name."""
    for folder, _, names in os.walk(top):
        if name in names:
            return folder
    raise FileNotFoundError(f'{name} under {top}')


class Package:
    """A copy of the library installed in a folder of its own."""

    def __init__(self, args, work):
        self.app, self.version, self.cc, self.work = args.app, args.version, args.cc, work
        self.root = args.root
        self.top = os.path.join(work, 'installed')
        self.problems = tap.command(['meson', 'install', '-C', args.build, '--no-rebuild', '--destdir', self.top])

    def installs(self):
        wanted = ['libsprat.so', 'libsprat.so.0', 'libsprat.a', 'sprat.h', 'experimental.h', 'sprat.pc',
                  'sprat-config.cmake', 'sprat-config-version.cmake']
        found = {name for _, _, names in os.walk(self.top) for name in names}
        return self.problems + [f'{name} is not installed' for name in wanted if name not in found]

    def run(self, binary):
        """Runs a program with the installed library in reach."""
        env = dict(os.environ, LD_LIBRARY_PATH=find(self.top, 'libsprat.so'))
        return tap.command([binary], env=env)

    def needs_library(self, binary, expected):
        text = tap.output(['readelf', '-dW', binary])[1]
        return [] if ('libsprat.so.0' in text) == expected else [f'{binary}: libsprat.so.0 needed: {not expected}']

    def pkg_config(self, static):
        env = dict(os.environ, PKG_CONFIG_LIBDIR=find(self.top, 'sprat.pc'), PKG_CONFIG_SYSROOT_DIR=self.top)
        flags = ['--static'] if static else []
        status, text = tap.output(['pkg-config', '--cflags', '--libs', *flags, f'sprat >= {self.version}'], env=env)
        if status != 0:
            return [text]
        words = text.split()
        problems = []
        if static:
            # The linker would take the shared library where both lie side by side.
            words = [os.path.join(find(self.top, 'libsprat.a'), 'libsprat.a') if word == '-lsprat' else word
                     for word in words]
            problems += [f'{name} is missing: {text}' for name in ('-pthread', '-lm') if name not in words]
        binary = os.path.join(self.work, f'app{static}')
        return (problems or tap.command([*self.cc, '-std=c11', '-o', binary, self.app, *words]) or
                self.needs_library(binary, not static) or self.run(binary))

    def cmake(self, version, expected):
        if not shutil.which('cmake'):
            raise tap.Skip('cmake is not installed')
        source, build = (os.path.join(self.work, f'{name}-{version}') for name in ('cmake', 'cmake-build'))
        os.makedirs(source)
        write(os.path.join(source, 'CMakeLists.txt'), CMAKE % {'app': self.app, 'version': version})
        prefix = os.path.dirname(find(self.top, 'sprat-config.cmake'))
        configure = tap.command(['cmake', '-S', source, '-B', build, f'-Dsprat_DIR={prefix}/sprat',
                                 f'-DCMAKE_C_COMPILER={self.cc[-1]}'])
        if not expected:
            return [] if configure else [f'version {version} is accepted']
        problems = configure or tap.command(['cmake', '--build', build])
        for name, shared in (('app_shared', True), ('app_static', False)):
            binary = os.path.join(build, name)
            problems = problems or self.needs_library(binary, shared) or self.run(binary)
        return problems

    def subproject(self):
        host = os.path.join(self.work, 'host')
        os.makedirs(os.path.join(host, 'subprojects'))
        os.symlink(self.root, os.path.join(host, 'subprojects', 'sprat'))
        write(os.path.join(host, 'subprojects', 'sprat.wrap'), WRAP)
        write(os.path.join(host, 'meson.build'), MESON % {'version': self.version})
        shutil.copy(self.app, os.path.join(host, 'app.c'))
        build = os.path.join(self.work, 'host-build')
        env = dict(os.environ, CC=' '.join(self.cc))
        return (tap.command(['meson', 'setup', '--wrap-mode=forcefallback', '-Dbuildtype=plain', build, host], env=env) or
                tap.command(['ninja', '-C', build, 'app'], env=env) or tap.command([os.path.join(build, 'app')]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--root', required=True)
    parser.add_argument('--build', required=True)
    parser.add_argument('--app', required=True)
    parser.add_argument('--version', required=True)
    parser.add_argument('--cc', nargs='+', required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        package = Package(args, work)
        newer = args.version.rsplit('.', 1)[0] + '.99'
        return tap.run([
            ('what is installed', package.installs),
            ('pkg-config, shared', lambda: package.pkg_config(False)),
            ('pkg-config, static', lambda: package.pkg_config(True)),
            ('CMake, shared and static', lambda: package.cmake(args.version, True)),
            ('CMake refuses a newer version', lambda: package.cmake(newer, False)),
            ('Meson subproject', package.subproject),
        ])


if __name__ == '__main__':
    sys.exit(main())

# make demo        build and complete a function with the model inside: heldout/79 of phitools/exercises, which it was not trained on
# make test        every test (some 22 minutes on two cores of an AMD EPYC Zen 4, builds included)
# make build       .build/release/phi
# make server      .build/release/phi-server
# make install     phi, and on Linux the C library (phi.h, libphi, phi.pc), to $(PREFIX); make install-server: phi-server
# make package     on Debian or Ubuntu: a tarball, Debian packages and a Python wheel in .build/packages, none of which needs Swift
# make release-check   the packages in root file systems of Debian 12 and of the next Debian: install, convert, serve, embed, remove; needs root
# make test-full   phi-1's full shape against Hugging Face: makes a 6 GB checkpoint in $(FULL), see Tools/golden/full_shape.py
# make bench       swift-phi beside its peers, into Bench/results; BENCH="--rounds 3 --peers swift-phi,llama.cpp" has options
# make test-asan   every test but the command's under the address sanitizer, in a build folder of its own
# make test-tsan   the library's tests under the thread sanitizer, likewise
# make docs        the library's documentation, .build/docs/Phi.doccarchive
# make check-kernels   the kernels of every instruction set that this machine has against the reference, without Swift
# make check-emulated  the same on emulated CPUs (x86-64 Debian): check-aarch64, check-old-x86, check-avxvnni, check-avx512
# make check-clients   phi-server with others' clients, benchmarks and evaluations, ab and a headless Chromium, in an environment of its own
# make check-export    exports of small models in llama.cpp: the same tokens and logits, in an environment of its own
# make check-fuzz      the readers of checkpoints by libFuzzer under the address sanitizer, FUZZ_RUNS=100000 inputs for each reader
# make check-server-fuzz    10,000 bodies, valid and damaged; check-server-load: ten minutes of mixed load; check-nginx: Tools/deploy/nginx.conf
# make test-hub    downloads from a stand-in of Hugging Face's hub; with recipe-deps, beside Hugging Face's own library
# make check-recipe    the recipe installed afresh, and the commands of the recipe and of fine-tuning in Tools/README.md at toy size
# make check-cluster   data steps and training on a Slurm and a Ray of two nodes on this machine, with kills; needs root
# make recipe-deps     an environment in .build/recipe for the phi-1 recipe; without it the recipe's tests are skipped
# make lint        formatting and style of Swift, C and Python
PREFIX ?= /usr/local
FULL ?= .build/full-shape
PYTHON ?= python3
# Packages have the versions of Tools/package/versions.json, which the target deps copies; to update it, swift package update with SWIFT_PHI_SERVER.
SWIFT_BUILD = swift build -c release --force-resolved-versions
PHI = .build/release/phi
# A path as one word of the shell, whatever is in it.
quoted = '$(subst ','\'',$(1))'

.PHONY: demo test test-swift test-python test-c test-embedding test-server test-hub test-full test-asan test-tsan bench docs check-kernels check-emulated check-aarch64 check-old-x86 check-avxvnni check-avx512 build server static-deps before-install before-python before-package install install-command install-c install-server package test-package release-check check-clients check-export check-fuzz check-server-fuzz check-server-load check-nginx check-recipe check-cluster lint deps sandbox-deps hub-deps package-deps venv-deps python-deps recipe-deps clean

demo: build
	printf '%s\n' 'def map_short(words: list[str]) -> dict[str, int]:' '    """Return a dictionary with the number of times each of the words in the list words that have fewer than 4 characters occurs."""' | $(PHI) complete -n 80 -

build: deps
	$(SWIFT_BUILD) --product phi

# Targets that build or test phi-server need SWIFT_PHI_SERVER; see Package.swift.
server install-server package test-package release-check test test-swift test-server check-clients check-server-fuzz check-server-load check-nginx: export SWIFT_PHI_SERVER = 1
server: deps
	$(SWIFT_BUILD) --product phi-server

# ---- Installation ----
#
# What is installed needs no Swift: its runtime and the C++ library are linked in. Only the link differs from other builds; see
# Package.swift. The C library is for Linux only.
VERSION = $(shell sed -n 's/.*swiftPhiVersion = "\(.*\)"/\1/p' Sources/Phi/Version.swift)
LIBPHI = libphi.so.$(VERSION)
TO = $(call quoted,$(DESTDIR)$(PREFIX))
ZSH = share/zsh/site-functions
INSTALL_BUILD = SWIFT_PHI_INSTALL=1 $(SWIFT_BUILD) --disable-local-rpath
# New files and folders can be read by all users, whatever the umask.
PUBLIC = umask 022;

# What would fail after the build is said before it.
before-install before-python before-package: before-%:
	@PYTHON=$(call quoted,$(PYTHON)) DESTDIR=$(call quoted,$(DESTDIR)) PREFIX=$(call quoted,$(PREFIX)) \
	  GOALS='$(MAKECMDGOALS)' Tools/package/before.sh $*

# The C++ library, alone in a folder: the linker would prefer the shared one beside it.
static-deps: deps
	@[ "$$(uname)" = Darwin ] || { \
	  archive=$$(clang -print-file-name=libstdc++.a); [ -e "$$archive" ] || { echo "libstdc++.a is missing" >&2; exit 1; }; \
	  mkdir -p .build/static && ln -sf "$$archive" .build/static; }

install: install-command
	@[ "$$(uname)" = Linux ] || echo "The C library is left out: it is for Linux only."
	[ "$$(uname)" != Linux ] || $(MAKE) install-c

install-command: before-install before-python static-deps
	$(INSTALL_BUILD) --product phi
	$(call install_command,phi)

install-server: before-install before-python static-deps
	$(INSTALL_BUILD) --product phi-server
	$(call install_command,phi-server)

# A command with its manual pages and completions, which it describes itself.
define install_command
	$(PUBLIC) mkdir -p $(TO)/bin $(TO)/share/bash-completion/completions $(TO)/$(ZSH) $(TO)/share/fish/vendor_completions.d
	install -m 755 -s .build/release/$(1) $(TO)/bin/$(1)
	$(PUBLIC) $(PYTHON) Tools/package/man.py .build/release/$(1) $(TO)/share/man/man1
	$(PUBLIC) .build/release/$(1) --generate-completion-script bash | sed '1{/^#!/d}' > $(TO)/share/bash-completion/completions/$(1)
	$(PUBLIC) .build/release/$(1) --generate-completion-script zsh > $(TO)/$(ZSH)/_$(1)
	$(PUBLIC) .build/release/$(1) --generate-completion-script fish > $(TO)/share/fish/vendor_completions.d/$(1).fish
endef

install-c: before-install static-deps
	$(INSTALL_BUILD) --product CPhi
	$(PUBLIC) mkdir -p $(TO)/lib/pkgconfig $(TO)/include
	install -m 644 -s .build/release/libCPhi.so $(TO)/lib/$(LIBPHI)
	ln -sf $(LIBPHI) $(TO)/lib/libphi.so.$(firstword $(subst ., ,$(VERSION)))
	ln -sf $(LIBPHI) $(TO)/lib/libphi.so
	install -m 644 Sources/CPhi/include/phi.h $(TO)/include/phi.h
	$(PUBLIC) sed 's|@VERSION@|$(VERSION)|' Sources/CPhi/phi.pc.in > $(TO)/lib/pkgconfig/phi.pc
	@$(if $(DESTDIR),:,Tools/package/ldconfig.sh $(call quoted,$(PREFIX)/lib))

# Everything that is published, in .build/packages. Only folders within .build are ever removed.
package: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date +%s)
package: before-package before-python
	rm -rf .build/stage .build/packages
	$(MAKE) install install-server DESTDIR=.build/stage PREFIX=/usr
	$(PYTHON) Tools/package/make.py --stage .build/stage --checkouts .build/checkouts --out .build/packages

# The packages, in the machine's system without Swift; in Debian's present and next release, to which they are installed.
test-package: package-deps package
	PHI_TOOLS=$(PACKAGE_TOOLS)/bin $(PYTHON) -m unittest discover -s Tests/PackageTests

release-check: test-package
	PHI_STAGE=.build/stage $(PYTHON) -m unittest discover -s Tests/PackageTests -k made_the_same_again
	Tools/package/roots.sh bookworm $(PYTHON) -m unittest discover -s Tests/PackageTests -p test_trials.py
	Tools/package/roots.sh testing $(PYTHON) -m unittest discover -s Tests/PackageTests -p test_trials.py

test: test-swift test-python test-c test-embedding test-server test-hub test-package

# One release build serves both the command and the tests.
test-swift: deps sandbox-deps hub-deps python-deps
	$(SWIFT_BUILD) --build-tests
	swift test -c release --skip-build

# The tools' modules, the largest first, one on each core; what a module prints appears when it ends.
CORES = $(shell getconf _NPROCESSORS_ONLN)
test-python: python-deps
	python=$(PYTHON_WITH_RECIPE); (cd Tools/tests && ls -S test_*.py) | PYTHONPATH=Tools OMP_NUM_THREADS=1 xargs -P $(CORES) -n 1 sh -c \
	  'printed=$$("$$0" -m unittest discover -s Tools/tests -p "$$1" 2>&1); status=$$?; printf "%s: %s\n" "$$1" "$$printed"; exit $$status' "$$python"
	PYTHONPATH=Bench $(PYTHON_WITH_NUMPY) -m unittest discover -s Bench/tests

# The C library and the Python package, as installed.
C_PREFIX = $(call quoted,$(CURDIR)/.build/c-api)
test-c:
	$(MAKE) install PREFIX=$(C_PREFIX) DESTDIR=
	PHI_PREFIX=$(C_PREFIX) $(PYTHON_WITH_RECIPE) -m unittest discover -s Tests/CPhiTests
	PHI_LIBRARY=$(C_PREFIX)/lib/libphi.so PHI_COMMAND=$(C_PREFIX)/bin/phi PYTHONPATH=Tools/python $(PYTHON_WITH_RECIPE) -m unittest discover -s Tools/python/tests

# A package of its own that depends on this one by address and version.
test-embedding: build
	Tests/Embedding/build.sh .build/embedding $(PHI)

SERVER_CHECK = Tests/PhiServerCheck
test-server: server
	$(PYTHON) $(SERVER_CHECK)/fuzz.py --count 1000 --seed 2

test-hub: build hub-deps sandbox-deps python-deps
	$(PYTHON_WITH_RECIPE) -m unittest discover -s Tests/PhiHubCheck

check-server-fuzz: server
	$(PYTHON) $(SERVER_CHECK)/fuzz.py --count 10000

check-server-load: build server
	$(PYTHON) $(SERVER_CHECK)/load.py --minutes 10

check-nginx: build server
	$(PYTHON) $(SERVER_CHECK)/nginx.py

CLIENTS = .build/clients
check-clients: build server
	test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	$(call install-torch,$(CLIENTS))
	$(CLIENTS)/bin/pip install --quiet -r $(SERVER_CHECK)/requirements.txt
	$(CLIENTS)/bin/pip install --quiet --no-deps evalplus
	$(CLIENTS)/bin/python $(SERVER_CHECK)/clients.py

EXPORT = .build/export
check-export: build venv-deps
	test -x $(EXPORT)/bin/python || $(PYTHON) -m venv $(EXPORT)
	$(EXPORT)/bin/pip install --quiet -r Tests/ExportCheck/requirements.txt
	PYTHONPATH=Tools $(EXPORT)/bin/python Tests/ExportCheck/check.py $(PHI) 2> $(EXPORT)/llama.log

test-full: build python-deps
	PYTHONPATH=Tools $(PYTHON_WITH_NUMPY) Tools/golden/full_shape.py make --checkpoint $(FULL)
	PYTHONPATH=Tools $(PYTHON_WITH_NUMPY) Tools/golden/full_shape.py check --checkpoint $(FULL) --phi $(PHI) --scratch $(FULL)

# Peers are built and installed here, not in the repository: about 20 GB.
BENCH_FOLDER ?= .build/bench
bench: build
	test -x $(BENCH_FOLDER)/venv/bin/python || $(PYTHON) -m venv $(BENCH_FOLDER)/venv
	$(BENCH_FOLDER)/venv/bin/pip install --quiet -r Bench/requirements.txt || echo "Some peers are not installed; the table will say so."
	PYTHONPATH=Bench $(BENCH_FOLDER)/venv/bin/python -m compare run --folder $(BENCH_FOLDER) --readme Bench/README.md $(BENCH)

ASAN = -c release --sanitize=address --scratch-path .build/asan
test-asan: deps sandbox-deps
	swift build $(ASAN) --build-tests
	ASAN_OPTIONS=detect_leaks=0 swift test $(ASAN) --skip-build --skip PhiCLITests

# The tests of phi-1's shapes in plain C are slow and use one thread, so they are left out. About 5 minutes after the build.
TSAN = -c release --sanitize=thread --scratch-path .build/tsan
test-tsan: deps
	swift build $(TSAN) --build-tests
	TSAN_OPTIONS=halt_on_error=1:suppressions=$(call quoted,$(CURDIR)/Tests/tsan.suppressions) \
	  swift test $(TSAN) --skip-build --filter '^(PhiTests|PhiTokenizerTests|PhiFormatTests|PhiCheckpointTests|CPhiKernelsTests)\.' \
	  --skip timedShapesEqualTheReference

# For Linux: Xcode has no libFuzzer. FUZZ_READERS names some of the readers, `PhiFuzz READER CORPUS FILE` reads an input again. What was found stays in the corpora.
FUZZ = -c release --sanitize=address -Xswiftc -sanitize=fuzzer --scratch-path .build/fuzz
FUZZ_RUNS ?= 100000
FUZZ_READERS ?= gguf adapter tokenizer config safetensors torch
check-fuzz: export SWIFT_PHI_FUZZ = 1
check-fuzz: deps
	swift build $(FUZZ) --product PhiFuzz
	for reader in $(FUZZ_READERS); do \
	  SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 .build/fuzz/release/PhiFuzz $$reader .build/fuzz/corpus/$$reader \
	    -runs=$(FUZZ_RUNS) -verbosity=0 || exit 1; \
	done

DOCS = .build/docs
docs: deps
	swift build --scratch-path $(DOCS)/build --target Phi -Xswiftc -emit-symbol-graph -Xswiftc -emit-symbol-graph-dir \
	  -Xswiftc $(call quoted,$(CURDIR)/$(DOCS)/build)
	rm -rf $(DOCS)/graphs && mkdir -p $(DOCS)/graphs && cp $(DOCS)/build/Phi*.symbols.json $(DOCS)/graphs
	docc convert Sources/Phi/Phi.docc --additional-symbol-graph-dir $(DOCS)/graphs --output-path $(DOCS)/Phi.doccarchive \
	  --fallback-display-name Phi --fallback-bundle-identifier swift-phi.Phi

CHECK = Tests/CPhiKernelsCheck/emulated
check-kernels:
	$(CHECK)/build.sh native .build/check/native
	.build/check/native

check-emulated: check-aarch64 check-old-x86 check-avxvnni check-avx512

check-aarch64 check-avxvnni check-avx512: check-%:
	$(CHECK)/$*.sh

check-old-x86: build
	$(CHECK)/old-x86.sh $(PHI)

# Swift, C and Python. The linters' versions are pinned because each version formats a little differently.
LINT = .build/lint
LINTERS = clang-format==23.1.5 ruff==0.17.6
lint: venv-deps
	@test -x $(LINT)/bin/python || $(PYTHON) -m venv $(LINT)
	@$(LINT)/bin/pip install --quiet --disable-pip-version-check $(LINTERS)
	swift format lint --strict --recursive Package.swift Sources Tests
	git ls-files 'Sources/*.[ch]' 'Sources/*.inc' 'Tests/*.[ch]' | xargs $(LINT)/bin/clang-format --dry-run -Werror
	$(LINT)/bin/ruff check --quiet

# ---- Dependencies, installed if they are missing ----

ADMIN = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
deps:
	@cmp -s Tools/package/versions.json Package.resolved || cp Tools/package/versions.json Package.resolved
# phi eval reads gzip with zlib; Swift's packages for Debian need its headers too.
	@[ "$$(uname)" = Darwin ] || [ -e /usr/include/zlib.h ] || { \
	  echo "zlib's headers are missing; installing them: $(ADMIN) apt-get install -y zlib1g-dev"; \
	  $(ADMIN) apt-get update -q && $(ADMIN) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q zlib1g-dev; }

# The sandbox in which phi eval runs generated code; the tests use it.
sandbox-deps:
	@[ "$$(uname)" = Darwin ] || command -v bwrap >/dev/null || { \
	  echo "bubblewrap is missing; installing it: $(ADMIN) apt-get install -y bubblewrap"; \
	  $(ADMIN) apt-get update -q && $(ADMIN) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q bubblewrap; }

# libcurl, which phi loads for downloads.
hub-deps:
	@[ "$$(uname)" = Darwin ] || ls /lib/*/libcurl*.so.4 /usr/lib*/libcurl*.so.4 /usr/lib/*/libcurl*.so.4 2>/dev/null | grep -q . || { \
	  echo "libcurl is missing; installing it: $(ADMIN) apt-get install -y libcurl4"; \
	  $(ADMIN) apt-get update -q && $(ADMIN) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q libcurl4; }

# What checks the packages.
PACKAGE_TOOLS = .build/package-tools
package-deps: sandbox-deps venv-deps
	@command -v lintian >/dev/null && command -v readelf >/dev/null || { \
	  echo "lintian is missing; installing it: $(ADMIN) apt-get install -y lintian binutils"; \
	  $(ADMIN) apt-get update -q && $(ADMIN) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends lintian binutils; }
	@test -x $(PACKAGE_TOOLS)/bin/auditwheel || { $(PYTHON) -m venv $(PACKAGE_TOOLS) && $(PACKAGE_TOOLS)/bin/pip install --quiet auditwheel==6.8.2; }

# Debian has Python's virtual environments as a package of their own.
venv-deps:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "Python's venv is missing; installing it: $(ADMIN) apt-get install -y python3-venv"; \
	  $(ADMIN) apt-get update -q && $(ADMIN) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv; }

# The second reader of .phi files needs NumPy: the system's, or one of our own in .venv.
PYTHON_WITH_NUMPY = $$($(PYTHON) -c 'import numpy' 2>/dev/null && echo $(PYTHON) || echo .venv/bin/python)

python-deps: venv-deps
	@$(PYTHON) -c 'import numpy' 2>/dev/null || .venv/bin/python -c 'import numpy' 2>/dev/null || { \
	  echo "NumPy is missing; installing it into .venv"; \
	  $(PYTHON) -m venv .venv && .venv/bin/pip install --quiet numpy; }

# Only the recipe's tests need PyTorch, datatrove and others: they run in this environment if it exists.
RECIPE = .build/recipe
PYTHON_WITH_RECIPE = $$([ -x $(RECIPE)/bin/python ] && echo $(RECIPE)/bin/python || echo $(PYTHON_WITH_NUMPY))
TORCH ?= torch==2.13.0+cpu

recipe-deps: venv-deps
	test -x $(RECIPE)/bin/python || $(PYTHON) -m venv $(RECIPE)
	$(call install-torch,$(RECIPE))
	$(RECIPE)/bin/python -c 'import tomllib; d = tomllib.load(open("Tools/pyproject.toml", "rb"))["project"]; \
	  print(*d["dependencies"], *(p for e in ("train", "data", "golden") for p in d["optional-dependencies"][e]), sep="\n")' > $(RECIPE)/wanted.txt
	$(RECIPE)/bin/pip install --quiet -r $(RECIPE)/wanted.txt

# PyTorch for CPUs, from where pip looks, else from its own index; else any PyTorch.
install-torch = $(1)/bin/pip install --quiet '$(TORCH)' || \
  $(1)/bin/pip install --quiet --retries 1 '$(TORCH)' --index-url https://download.pytorch.org/whl/cpu || $(1)/bin/pip install --quiet torch

# Tools/README.md as a newcomer follows it: a fresh environment, what is printed there, and a small phi of others tuned, converted, completed and scored.
FRESH = .build/check-recipe
check-recipe: build venv-deps sandbox-deps
	rm -rf $(FRESH)
	$(PYTHON) -m venv $(FRESH)
	$(call install-torch,$(FRESH))
	$(FRESH)/bin/pip install --quiet --require-hashes -r Tools/requirements.lock || echo 'not the locked versions: these are for another platform'
	$(FRESH)/bin/pip install --quiet './Tools[cpu]'
	cd Tools/tests && PHITOOLS_BIN=$(call quoted,$(CURDIR)/$(FRESH)/bin) $(call quoted,$(CURDIR)/$(FRESH)/bin/python) -m unittest test_readme

check-cluster: recipe-deps
	@command -v slurmctld >/dev/null && command -v munged >/dev/null || { \
	  echo "Slurm is missing; installing it: $(ADMIN) apt-get install -y slurm-wlm munge"; \
	  $(ADMIN) apt-get update -q && $(ADMIN) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge; }
	$(RECIPE)/bin/python Tests/ClusterCheck/slurm.py
	$(RECIPE)/bin/pip install --quiet ray
	$(RECIPE)/bin/python Tests/ClusterCheck/ray_nodes.py

clean:
	rm -rf .build .venv

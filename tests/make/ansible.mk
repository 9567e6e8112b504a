# Installs Ansible in a virtual environment of its own, for the tests of docs/examples/ansible.
ANSIBLE := $(BUILD)/ansible/.installed

.PHONY: ansible test-ansible
ansible: $(ANSIBLE)

$(ANSIBLE): tests/ansible/requirements.txt
	@sh .ci/deps test
	@printf '  PIP   ansible\n'
	@python3 -m venv $(@D)
	@$(@D)/bin/pip --quiet --disable-pip-version-check install --requirement $<
	@touch $@

test-ansible: build ansible ## run the example playbooks over real ssh against two hosts in boxes
	@sh .ci/deps box test
	@BUILD=$(BUILD) $(AS_ROOT) bats bats/host-ansible.bats

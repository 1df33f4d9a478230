"""What an event is about, collected for pivoting: `related.{ip,user,hosts,entity}`."""

from __future__ import annotations


class Related:
    """Sets that grow while an event is mapped; nothing is added for None."""

    __slots__ = ("_entities", "_hosts", "_ips", "_users")

    def __init__(self) -> None:
        self._ips: set[str] = set()
        self._users: set[str] = set()
        self._hosts: set[str] = set()
        self._entities: set[str] = set()

    def ip(self, address: str | None) -> None:
        """Note an address; it must be one."""
        if address:
            self._ips.add(address)

    def user(self, *names: str | None) -> None:
        """Note names of people, groups and applications; of an address also the part before the domain."""
        for name in names:
            if name:
                self._users.add(name)
                if "@" in name:
                    self._users.add(split_name(name)[0])

    def host(self, name: str | None) -> None:
        """Note a device."""
        if name:
            self._hosts.add(name)

    def entity(self, *ids: str | None) -> None:
        """Note ids of resources, principals, applications and sessions."""
        self._entities.update(one for one in ids if one)

    def document(self) -> dict[str, list[str]]:
        """The non-empty lists under their ECS names."""
        lists = (("ip", self._ips), ("user", self._users), ("hosts", self._hosts), ("entity", self._entities))
        return {name: sorted(values) for name, values in lists if values}


def split_name(name: str) -> tuple[str, str | None]:
    """Name and domain of `a@b`; guests of another directory are `live.com#a@b`. The whole where it is no address."""
    before, at, domain = name.rpartition("@")
    if not (at and before and domain):
        return name, None
    return before.rpartition("#")[2] or before, domain  # guests here are `name_home.example#EXT#@directory`

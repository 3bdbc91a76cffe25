import PhiFormat

/// Reads archives of `torch.save` since torch 1.6: zip archives of stored entries, all in one folder,
///
///     NAME/data.pkl       the pickle of the state_dict, see ``Unpickler``
///     NAME/byteorder      "little"; absent before torch 2.1
///     NAME/data/KEY       the bytes of one storage
///
/// as https://github.com/pytorch/pytorch/blob/main/torch/serialization.py does; and files of older ones, ``LegacyTorchFile``.
package enum TorchArchive: TensorContainer {
    static let fileName = "pytorch_model.bin"
    static let content = FileContent.torchArchive
    static let noun = "a torch archive"

    /// The tensors of the state_dict in `file`, in its order. Tensors that are of other types than double, float, half and
    /// bfloat16 are listed with a ``StoredTensor/refusal``. Several tensors may share their bytes.
    package static func tensors(of file: ReadableFile) throws(FormatError) -> [StoredTensor] {
        try checkContent(of: file)
        if try LegacyTorchFile.canRead(file) {
            let (pickled, entries) = try LegacyTorchFile.contents(of: file)
            return try place(pickled, of: file) { entries[$0] }
        }
        guard try file.readBytes(at: 0, count: min(4, file.size)) == [0x50, 0x4B, 3, 4] else {
            throw FormatError(file.path, "is not a torch archive (a zip file)")
        }
        let entries = try ZipDirectory(of: file).entries
        let pickles = entries.filter { $0.name.hasSuffix("/data.pkl") && $0.name.count(where: { $0 == "/" }) == 1 }
        guard pickles.count == 1, let pickle = pickles.first else {
            throw FormatError(file.path, "is not a torch archive: it holds \(pickles.count) entries NAME/data.pkl")
        }
        let folder = String(pickle.name.dropLast("data.pkl".count))
        let byName = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0) })

        if let order = byName[folder + "byteorder"] {
            let bytes = try file.readBytes(at: order.offset, count: min(order.size, 16))
            guard bytes.elementsEqual("little".utf8) else {
                let name = String(decoding: bytes, as: UTF8.self)
                throw FormatError(file.path, "is of byte order \(name.shown), not little")
            }
        }
        guard pickle.size <= Unpickler.byteLimit else {
            throw FormatError(file.path, "data.pkl is larger than any state_dict: \(pickle.size) bytes")
        }
        let bytes = try file.readBytes(at: pickle.offset, count: pickle.size)
        return try place(try Unpickler.tensors(from: bytes, of: file.path), of: file) { byName[folder + "data/" + $0] }
    }

    /// Finds the bytes of tensors, where `entry` gives those of a storage by its key.
    private static func place(
        _ pickled: [(name: String, tensor: PickledTensor)], of file: ReadableFile,
        _ entry: (String) -> ZipDirectory.Entry?
    ) throws(FormatError) -> [StoredTensor] {
        var tensors: [StoredTensor] = []
        var names: Set<String> = []
        for (name, tensor) in pickled {
            guard names.insert(name).inserted else {
                throw FormatError(file.path, "holds two tensors \(name.shown)")
            }
            guard let entry = entry(tensor.storage.key) else {
                throw FormatError(file.path, "has no entry for the bytes of tensor \(name.shown)")
            }
            tensors.append(try place(tensor, name, in: entry, of: file))
        }
        return tensors
    }

    private static func place(
        _ tensor: PickledTensor, _ name: String, in entry: ZipDirectory.Entry, of file: ReadableFile
    ) throws(FormatError) -> StoredTensor {
        func refused(_ fault: String) -> FormatError { FormatError(file.path, "tensor \(name.shown) \(fault)") }
        let storage = tensor.storage
        guard tensor.shape.count == tensor.strides.count, let count = tensor.shape.checkedProduct, tensor.offset >= 0,
            storage.count >= 0
        else { throw refused("has a shape that cannot be true") }
        let strides = isRowMajor(tensor.shape, tensor.strides) ? nil : tensor.strides
        var offset = entry.offset
        if let size = storage.elementType.size {
            let (bytes, overflow) = storage.count.multipliedReportingOverflow(by: size)
            guard !overflow, bytes == entry.size else {
                throw refused("is in a storage of \(storage.count) elements, whose entry has \(entry.size) bytes")
            }
            guard tensor.offset <= storage.count,
                extent(tensor, count, strides).map({ $0 <= storage.count - tensor.offset }) ?? false
            else { throw refused("lies outside its storage") }
            // An expanded view repeats elements without end.
            guard count <= storage.count else { throw refused("has more elements than its storage") }
            offset += tensor.offset * size
        }
        return StoredTensor(
            name: name, elementType: storage.elementType, shape: tensor.shape, count: count, file: file,
            offset: offset, strides: strides)
    }

    /// Elements from the first to after the last in the storage; nil if they are beyond Int or a stride is negative.
    private static func extent(_ tensor: PickledTensor, _ count: Int, _ strides: [Int]?) -> Int? {
        guard let strides, count > 0 else { return count }
        var extent = 1
        for (size, stride) in zip(tensor.shape, strides) {
            let (length, isLong) = (size - 1).multipliedReportingOverflow(by: stride)
            let (sum, overflow) = extent.addingReportingOverflow(length)
            guard stride >= 0, !isLong, !overflow else { return nil }
            extent = sum
        }
        return extent
    }

    private static func isRowMajor(_ shape: [Int], _ strides: [Int]) -> Bool {
        if shape.contains(0) { return true }
        var expected = 1
        for (size, stride) in zip(shape, strides).reversed() where size != 1 {
            if stride != expected { return false }
            expected *= size  // at most the product of the shape, which has been checked
        }
        return true
    }
}
